"""ID-2: length and guessing decide about a password, nothing else; hashing keeps the event loop free."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.errors import Unavailable
from services.identity.reasons import Reason
from services.identity.users import rules
from services.identity.users.hashing import Hasher

GOOD = "correct horse battery staple"
ABOUT = ("margarete@example.com", "Blue Lantern Works", "Margarete Tester")
CHEAP = {"memory_kib": 8, "passes": 1}


@pytest.mark.parametrize("password", [GOOD, "Zürich-liegt-am-Wasser-7", "лодка плывёт по широкой реке", "🦊🌲🚲☂️🎻🧭🪁🛶🏺🧶🪴🥁🧵🫖🪶"])
def test_a_long_unlikely_password_is_good_in_any_script(password: str):
    assert rules.weakness(rules.normalise(password), ABOUT) == ""


@pytest.mark.parametrize(
    "password",
    [
        "x8#kQ!p2Lw9$vB",
        "aaaaaaaaaaaaaaaaaaaa",
        "passwordpassword",
        "qwertyuiopasdfghjkl",
        "1234567890123456789",
        "margarete loves rain in autumn",
        "rain at Margarete@Example.com",
        "we are BLUE LANTERN WORKS since 1999",
        "correct horse battery staple " * 5,
    ],
)
def test_short_guessable_and_telling_passwords_are_refused(password: str):
    assert rules.weakness(rules.normalise(password), ABOUT)


def test_fifteen_characters_are_enough_and_one_hundred_and_twenty_eight_are_not_too_many():
    assert rules.weakness("x8#kQ!p2Lw9$vB7", ABOUT) == ""
    assert rules.weakness((GOOD * 5)[:128], ABOUT) == ""


def test_a_short_local_part_does_not_forbid_words():
    assert rules.weakness(GOOD, ("cor@example.com",)) == ""


@given(st.text(min_size=513))
def test_what_is_longer_than_any_password_is_never_normalised(password: str):
    assert rules.normalise(password) == ""


def test_both_unicode_forms_are_one_password():
    assert rules.normalise("Zu\u0308rich") == rules.normalise("Z\u00fcrich")


async def test_a_hash_fits_its_password_in_either_unicode_form_and_no_other():
    hasher = Hasher(**CHEAP)
    stored = await hasher.hash("Zu\u0308rich am Wasser")
    assert await hasher.verify(stored, "Z\u00fcrich am Wasser")
    assert not await hasher.verify(stored, "Zurich am Wasser")
    assert not await hasher.verify("not a hash", "Zurich am Wasser")
    hasher.close()


async def test_nobody_has_no_password_at_all():
    hasher = Hasher(**CHEAP)
    assert not await hasher.verify(None, "")
    assert not await hasher.verify(None, GOOD)
    hasher.close()


async def test_a_hash_made_with_other_parameters_is_outdated():
    old, new = Hasher(**CHEAP), Hasher(memory_kib=16, passes=2)
    stored = await old.hash(GOOD)
    assert new.outdated(stored)
    assert not old.outdated(stored)
    assert await new.verify(stored, GOOD)
    old.close()
    new.close()


async def test_a_full_queue_says_come_back():
    hasher = Hasher(memory_kib=4096, passes=2, workers=1, queue=2)
    answers = await asyncio.gather(*(hasher.hash(GOOD) for _ in range(8)), return_exceptions=True)
    refused = [each for each in answers if isinstance(each, Unavailable)]
    assert len(refused) == 5
    assert {(each.reason, each.retry_after) for each in refused} == {(Reason.HASHING_BUSY, 1.0)}
    assert await hasher.hash(GOOD)
    hasher.close()
