"""ID-3: guessing gets slow, and nobody is locked out for good."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.identity.attempts import rules
from services.identity.attempts.rules import ACCOUNT, Count

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ADDRESS = rules.address_pace(free=30)


@pytest.mark.parametrize("pace", [ACCOUNT, ADDRESS])
def test_the_free_attempts_do_not_wait_and_the_next_wait_twice_as_long_each(pace: rules.Pace):
    assert all(not pace.wait(failures) for failures in range(pace.free))
    assert [pace.wait(pace.free + n).total_seconds() for n in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]


@given(st.integers(0, 2**31 - 1), st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=30)))
def test_however_often_somebody_failed_the_wait_is_over_after_the_cap(failures: int, since: timedelta):
    count = Count(failures, NOW - since)
    assert rules.remaining(ACCOUNT, count, NOW) <= ACCOUNT.cap
    if since >= ACCOUNT.cap:
        assert not rules.remaining(ACCOUNT, count, NOW)


def test_a_free_attempt_does_not_wait_for_one_that_began_later_and_was_counted_first():
    assert not rules.remaining(ACCOUNT, Count(ACCOUNT.free - 1, NOW + timedelta(seconds=1)), NOW)


def test_a_quiet_quarter_of_an_hour_forgets_all_failures():
    assert rules.current(ACCOUNT, Count(40, NOW - timedelta(minutes=15)), NOW) == 0
    assert rules.current(ACCOUNT, Count(40, NOW - timedelta(minutes=14)), NOW) == 40


def test_nothing_that_a_pace_looks_at_is_purged():
    assert max(ACCOUNT.forget, ADDRESS.forget) <= rules.KEPT


def test_a_network_of_ipv6_counts_as_one_caller_and_a_mapped_address_as_ipv4():
    assert rules.address_key("2001:db8:1:2::1") == rules.address_key("2001:db8:1:2:ffff::9")
    assert rules.address_key("2001:db8:1:2::1") != rules.address_key("2001:db8:1:3::1")
    assert rules.address_key("::ffff:192.0.2.1") == rules.address_key("192.0.2.1")
    assert rules.address_key("") == rules.address_key("not an address")


def test_the_key_of_an_account_does_not_show_its_address():
    assert "someone" not in rules.account_key("someone@example.com")
