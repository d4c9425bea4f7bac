"""Which searches come into the report of what was not found, and how they are counted there."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from chassis import clock
from kith.crm.v1.parts_pb2 import RecordKind
from services.crm.search.actions import Searched
from services.crm.search_misses import actions, rules
from services.crm.search_misses.actions import Misses

CONTACT, COMPANY = RecordKind.RECORD_KIND_CONTACT, RecordKind.RECORD_KIND_COMPANY
START = datetime(2026, 1, 1, tzinfo=UTC)


class Moved:
    """The time, as a test moves it."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def time() -> Iterator[Moved]:
    moved = Moved()
    token = clock.source.set(moved)
    yield moved
    clock.source.reset(token)


@pytest.fixture
def misses() -> Misses:
    return Misses()


@pytest.fixture
def counted(misses: Misses, time: Moved) -> Callable[[], dict[str, tuple[int, int]]]:
    """`counted()` returns how often and by how many people each query was not found, once nobody types any more."""

    def count() -> dict[str, tuple[int, int]]:
        misses.settle(time.now + timedelta(seconds=1))
        return {miss.query: (miss.count, len(miss.people)) for found in misses.take().values() for miss in found}

    return count


Counted = Callable[[], dict[str, tuple[int, int]]]


def search(query: str, person: str = "ann", *, tenant: str = "acme", is_found: bool = False) -> Searched:
    return Searched(tenant, person, query, [CONTACT, COMPANY], is_found)


def test_of_what_is_typed_letter_by_letter_the_last_query_counts(misses: Misses, time: Moved, counted: Counted) -> None:
    for query in ("zo", "zoe", "zoe ", "Zoë L", "zoe lee"):
        misses.hear(search(query))
        time.pass_seconds(1)
    assert counted() == {"zoe lee": (1, 1)}


def test_letters_that_are_taken_back_take_the_miss_back_when_something_is_found_then(misses: Misses, time: Moved, counted: Counted) -> None:
    misses.hear(search("annx"))
    misses.hear(search("ann", is_found=True))
    assert counted() == {}
    misses.hear(search("zoex"))
    misses.hear(search("zoe"))
    assert counted() == {"zoe": (1, 1)}


def test_another_query_a_pause_and_another_person_take_nothing_back(misses: Misses, time: Moved, counted: Counted) -> None:
    misses.hear(search("zoe"))
    misses.hear(search("lee"))
    misses.hear(search("zoe lee", person="bob"))
    time.pass_seconds(rules.TYPING.total_seconds())
    misses.hear(search("lee zoe"))
    misses.hear(search("something", is_found=True))
    assert counted() == {"zoe": (1, 1), "lee": (1, 1), "zoe lee": (2, 2)}


def test_a_query_is_counted_once_nobody_may_be_typing_any_more(misses: Misses, time: Moved) -> None:
    misses.hear(search("zoe"))
    misses.settle(time.now - rules.TYPING)
    assert misses.take() == {}
    time.pass_seconds(rules.TYPING.total_seconds() + 1)
    misses.settle(time.now - rules.TYPING)
    assert list(misses.take()) == ["acme"]
    assert misses.take() == {}


def test_the_same_words_count_together_with_the_first_and_the_last_time(misses: Misses, time: Moved) -> None:
    for query in ("Zoë Lee", "lee  ZOE", "zoe lee"):
        misses.hear(search(query, person=query))
        time.pass_seconds(10)
    misses.settle(time.now)
    ((miss,),) = misses.take().values()
    assert (miss.query, list(miss.words), list(miss.kinds), miss.count) == ("zoe lee", ["lee", "zoe"], sorted([CONTACT, COMPANY]), 3)
    assert (miss.first, miss.last) == (START, START + timedelta(seconds=20))


def test_organisations_and_kinds_are_counted_apart(misses: Misses, time: Moved) -> None:
    misses.hear(search("zoe"))
    misses.hear(search("zoe", tenant="other"))
    misses.hear(search("zoe", person="bob")._replace(kinds=[CONTACT]))
    misses.settle(time.now + timedelta(seconds=1))
    assert {tenant: len(found) for tenant, found in misses.take().items()} == {"acme": 2, "other": 1}


@pytest.mark.parametrize("query", ["", " ", "x", "???", "😀", "-x-"])
def test_what_is_too_short_to_be_looked_for_is_not_counted(misses: Misses, counted: Counted, query: str) -> None:
    misses.hear(search(query))
    assert counted() == {}


def test_what_is_held_is_bounded(misses: Misses, time: Moved, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "HEARD", 7)
    monkeypatch.setattr(actions, "COUNTED", 5)
    for number in range(10):
        misses.hear(search(f"zoe{number}", person=f"person {number}"))
    misses.settle(time.now + timedelta(seconds=1))
    for number in range(3):
        misses.hear(search("zoe0", person=f"other person {number}"))
    misses.settle(time.now + timedelta(seconds=1))
    (found,) = misses.take().values()
    assert [(miss.query, miss.count) for miss in found] == [("zoe0", 4), *((f"zoe{number}", 1) for number in range(1, 5))]


@given(st.text(max_size=20), st.text(max_size=5))
def test_a_query_continues_its_own_beginning(query: str, more: str) -> None:
    assert rules.continues(query, f"{query} {more}")
    assert rules.continues(f"{query.upper()} {more}", query.upper())


def test_people_are_told_apart_within_an_entry_and_not_recognised_in_another() -> None:
    one, other = rules.key(["zoe"], [1]), rules.key(["lee"], [1])
    assert rules.person("ann", one) == rules.person("ann", one)
    assert len({rules.person("ann", one), rules.person("bob", one), rules.person("ann", other)}) == 3


async def test_what_cannot_be_written_is_given_up_and_the_drain_goes_on(time: Moved) -> None:
    asked: list[str] = []

    class Away:
        async def take(self) -> None:
            asked.append("a connection")
            raise psycopg.OperationalError("the database is away")

    with structlog.testing.capture_logs() as logged:
        async with actions.kept(Away()) as misses:  # type: ignore[arg-type]
            for tenant in ("acme", "other", "third"):
                misses.hear(search("zoe", tenant=tenant))
    assert asked == ["a connection"]
    assert [(line["event"], line["count"]) for line in logged] == [("search_misses_lost", 3)]
