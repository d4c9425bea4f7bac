"""The filter language: what it reads, what it refuses and where, and that its SQL means what it says."""

import operator
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import BigInteger, Boolean, Column, DateTime, MetaData, Table, Text, Uuid, create_engine, literal_column, select

from chassis.errors import InvalidArgument, Reason
from chassis.filters import Fields, boolean, enum, integer, key, outline, text, timestamp, uuid
from chassis.filters.fields import after_prefix
from chassis.filters.syntax import MAX_DEPTH, MAX_LENGTH, MAX_TERMS, parse
from kith.crm.v1.contacts_pb2 import ContactStatus

METADATA = MetaData()
people = Table(
    "people",
    METADATA,
    Column("id", BigInteger, primary_key=True),
    Column("name", Text, nullable=False),
    Column("age", BigInteger, nullable=False),
    Column("nice", Boolean, nullable=False),
    Column("boss", Text),
    Column("team", Uuid(as_uuid=False)),
    Column("born", DateTime(timezone=True)),
    Column("status", Text, nullable=False),
)
mails = Table("mails", METADATA, Column("person", BigInteger, nullable=False), Column("address", Text, nullable=False))

FIELDS = Fields(
    text("name", people.c.name, fold=str.casefold),
    integer("age", people.c.age),
    boolean("nice", people.c.nice),
    uuid("team", people.c.team),
    timestamp("born", people.c.born),
    enum("status", people.c.status, ContactStatus.DESCRIPTOR),
    key("mail", mails.c.address, normalise=str.casefold, within=lambda test: people.c.id.in_(select(mails.c.person).where(test))),
)


def sql(filter_text: str) -> str:
    shape = FIELDS.read(filter_text).shape
    assert shape is not None
    return " ".join(str(FIELDS.condition(shape)).replace("people.", "").split())


@pytest.mark.parametrize(
    ("given_text", "expected"),
    [
        ("age = 5", "age = :filter_0"),
        ("age != 5", "age != :filter_0"),
        ("age >= -5", "age >= :filter_0"),
        ("nice = true", "nice = :filter_0"),
        ("NOT nice = true", "nice != :filter_0"),
        ("-nice = true", "nice != :filter_0"),
        ('name = "ann*"', "name >= :filter_0 AND name < :filter_1"),
        ("name = ann*", "name >= :filter_0 AND name < :filter_1"),
        (r'name = "ann\*"', "name = :filter_0"),
        ("name:ann", "name = :filter_0"),
        ("name:*", "name != :name_1"),
        ('name = ""', "name = :name_1"),
        ("team:*", "team IS NOT NULL"),
        ("born > 2026-01-31T09:30:00Z", "born IS NOT NULL AND born > :filter_0"),
        ("status = CONTACT_STATUS_ACTIVE", "status = :filter_0"),
        ("mail = x", "id IN (SELECT mails.person FROM mails WHERE mails.address = :filter_0)"),
        ("age = 1 AND age = 2 OR age = 3", "age = :filter_0 AND (age = :filter_1 OR age = :filter_2)"),
        ("age = 1 age = 2 OR age = 3", "age = :filter_0 AND (age = :filter_1 OR age = :filter_2)"),
        ("(age = 1 AND age = 2) OR age = 3", "age = :filter_0 AND age = :filter_1 OR age = :filter_2"),
        ("NOT (age = 1 OR age = 2)", "NOT (age = :filter_0 OR age = :filter_1)"),
    ],
)
def test_a_filter_becomes_a_condition(given_text: str, expected: str) -> None:
    assert sql(given_text) == expected


def test_values_are_read_as_the_columns_hold_them() -> None:
    found = FIELDS.read(
        'name = "ANN" age = 5 nice = false born = "2026-01-31T10:30:00+01:00" status = CONTACT_STATUS_ACTIVE '
        "team = 0190A1B2-0000-7000-8000-000000000001"
    )
    born = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
    assert list(found.values.values()) == ["ann", 5, False, born, "active", "0190a1b2-0000-7000-8000-000000000001"]


def test_filters_that_differ_in_values_alone_share_their_shape() -> None:
    assert FIELDS.read('name = "ann*" OR age > 5').shape == FIELDS.read('name = "bob*" OR age > 7').shape


@pytest.mark.parametrize("blank", ["", "  ", "\n"])
def test_a_blank_filter_lets_everything_through(blank: str) -> None:
    assert FIELDS.read(blank).shape is None


@pytest.mark.parametrize(
    ("given_text", "position", "expected"),
    [
        ("name", 5, "one of = != < <= > >= :"),
        ("name =", 7, "a value"),
        ('name = "ann', 8, "a closing quote"),
        ("(age = 1", 9, ")"),
        ("age = 1)", 8, "the end"),
        ("age ~ 1", 5, "one of = != < <= > >= :"),
        ("age = 1 AND", 12, "a field or NOT or ("),
        ('"age" = 1', 1, "a field or NOT or ("),
        ("age = old", 7, "a whole number"),
        ("age = 1.5", 7, "a whole number"),
        ("age = 9223372036854775808", 7, "a whole number"),
        ("nice = yes", 8, "true or false"),
        ("born > 2026", 8, "an RFC 3339 timestamp"),
        ("born > 2026-02-30T00:00:00Z", 8, "an RFC 3339 timestamp"),
        ("born > 0001-01-01T00:00:00+23:00", 8, "an RFC 3339 timestamp"),
        ("team = x", 8, "an id"),
        ("status = active", 10, "one of CONTACT_STATUS_ACTIVE"),
        ("nice > true", 1, "= or != after nice"),
        ("team > 5", 1, "= or != after team"),
        ("name = a*b", 8, "* at the end of the value alone"),
        ("name = *", 8, "a text before *"),
        ("name > ann*", 8, "a text without *"),
        ("age = 1*", 7, "a whole number without *"),
        ('nice = ""', 8, "true or false"),
        ("name = a\0", 9, "no NUL character"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_position(given_text: str, position: int, expected: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        FIELDS.read(given_text)
    assert refused.value.reason is Reason.FILTER_INVALID
    assert refused.value.metadata["position"] == str(position)
    assert refused.value.metadata["expected"].startswith(expected)
    assert [violation.field for violation in refused.value.fields] == ["filter"]


@pytest.mark.parametrize("name", ["shoe_size", "name.first", "ANDage", "and"])
def test_an_unknown_field_is_refused_by_name(name: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        FIELDS.read(f"age = 1 AND {name} = 42")
    assert refused.value.reason is Reason.UNKNOWN_FIELD
    assert (refused.value.metadata["path"], refused.value.metadata["position"]) == (name, "13")


@pytest.mark.parametrize(
    "too_large",
    [
        "age = 1" + " " * MAX_LENGTH + "age = 1",
        " ".join(["a=1"] * (MAX_TERMS + 1)),
        "(a=1 OR (a=1 " * (MAX_DEPTH // 2) + "a=1" + "))" * (MAX_DEPTH // 2),
    ],
    ids=["length", "terms", "depth"],
)
def test_a_filter_that_is_too_large_is_refused(too_large: str) -> None:
    with pytest.raises(InvalidArgument, match="expected at most"):
        parse(too_large)


def test_deep_brackets_do_not_exhaust_the_stack() -> None:
    nested = "(" * 990 + "age = 1" + ")" * 990
    assert sql(nested) == "age = :filter_0"


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(anything: str) -> None:
    try:
        FIELDS.read(anything)
    except InvalidArgument as refused:
        assert refused.reason in {Reason.FILTER_INVALID, Reason.UNKNOWN_FIELD}  # noqa: PT017 - both ends are fine


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8), st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
)
def test_a_prefix_range_holds_exactly_what_starts_with_the_prefix(prefix: str, other: str) -> None:
    behind = after_prefix(prefix)
    for candidate in (other, prefix + other):
        assert (prefix <= candidate and (behind is None or candidate < behind)) == candidate.startswith(prefix)


# What follows lets SQLite judge: its texts compare by bytes, as COLLATE "C" does.
ROWS = [
    {"id": 1, "name": "ann", "age": 30, "nice": True, "boss": "bob"},
    {"id": 2, "name": "anna", "age": 40, "nice": False, "boss": None},
    {"id": 3, "name": "", "age": -1, "nice": True, "boss": "ann"},
    {"id": 4, "name": "bob", "age": 40, "nice": False, "boss": ""},
]
JUDGED = Fields(
    text("name", people.c.name),
    integer("age", people.c.age),
    boolean("nice", people.c.nice),
    # A nullable text exercises what ids and timestamps do with NULL.
    key("boss", people.c.boss, normalise=str, within=lambda test: test & people.c.boss.is_not(None)),
)
Judge = Callable[[dict[str, Any]], bool]
COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


def _comparison(name: str, how: str, value: Any, written: str) -> tuple[str, Judge]:
    return f"{name} {how} {written}", lambda row: COMPARISONS[how](row[name], value)


def _prefix(stem: str) -> tuple[str, Judge]:
    return f'name = "{stem}*"', lambda row: row["name"].startswith(stem)


leaves = st.one_of(
    st.tuples(st.sampled_from(list(COMPARISONS)), st.integers(-2, 50)).map(lambda v: _comparison("age", v[0], v[1], str(v[1]))),
    st.tuples(st.sampled_from(list(COMPARISONS)), st.sampled_from(["ann", "anna", "b"])).map(
        lambda v: _comparison("name", v[0], v[1], f'"{v[1]}"')
    ),
    st.booleans().map(lambda v: _comparison("nice", "=", v, str(v).lower())),
    st.sampled_from(["a", "ann", "anna", "c"]).map(_prefix),
    st.sampled_from(["=", "!="]).map(lambda how: _comparison("boss", how, "bob", "bob")),
)


def _grow(inner: st.SearchStrategy[tuple[str, Judge]]) -> st.SearchStrategy[tuple[str, Judge]]:
    pairs = st.lists(inner, min_size=2, max_size=3)
    return st.one_of(
        inner.map(lambda one: (f"NOT ({one[0]})", lambda row: not one[1](row))),
        pairs.map(lambda many: ("(" + " AND ".join(each[0] for each in many) + ")", lambda row: all(each[1](row) for each in many))),
        pairs.map(lambda many: ("(" + " ".join(each[0] for each in many) + ")", lambda row: all(each[1](row) for each in many))),
        pairs.map(lambda many: ("(" + " OR ".join(each[0] for each in many) + ")", lambda row: any(each[1](row) for each in many))),
    )


@given(st.recursive(leaves, _grow, max_leaves=8))
def test_the_condition_chooses_the_rows_that_the_words_mean(case: tuple[str, Judge]) -> None:
    written, means = case
    found = JUDGED.read(written)
    assert found.shape is not None
    with create_engine("sqlite://").connect() as database:
        METADATA.create_all(database)
        database.execute(people.insert(), [{**row, "status": "active"} for row in ROWS])
        statement = select(people.c.id).where(JUDGED.condition(found.shape), literal_column("1") == 1)
        assert set(database.scalars(statement, dict(found.values))) == {row["id"] for row in ROWS if means(row)}


@pytest.mark.parametrize(
    ("filter_text", "shown"),
    [
        ("", ""),
        ('name = "ann*" age > 5', "name prefix ? ? AND age > ?"),
        ('NOT mail = "a@example.com" OR team:*', "(NOT (mail = ?) OR team set)"),
    ],
)
def test_an_outline_tells_what_was_asked_and_nothing_of_whom(filter_text: str, shown: str) -> None:
    assert outline(FIELDS.read(filter_text).shape) == shown
