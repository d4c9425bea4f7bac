"""Rows become messages and messages rows without loss."""

from datetime import UTC, datetime

import orjson
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import BigInteger, Column, DateTime, Integer, MetaData, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB

from chassis import ids
from chassis.database import tenant_table
from chassis.mapping import VERSION, Mapping, enum_names, enum_numbers
from kith.crm.v1.contacts_pb2 import Contact, ContactStatus
from kith.identity.v1.members_pb2 import Role

TABLE = tenant_table(
    "mapped",
    MetaData(),
    Column("id", Uuid(as_uuid=False)),
    Column("version", BigInteger, nullable=False),
    Column("create_time", DateTime(timezone=True)),
    Column("last_contacted_time", DateTime(timezone=True)),
    Column("given_name", Text, nullable=False),
    Column("company_id", Uuid(as_uuid=False), nullable=True),
    Column("emails", JSONB, nullable=False),
    Column("tags", JSONB, nullable=False),
    Column("address", JSONB),
    Column("status", Text, nullable=False),
    Column("sort_name", Text),
    Column("unknown", Integer),
)
ROWS = Mapping(Contact, TABLE)
JSON = {"emails", "tags", "address"}

moments = st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001
words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
contacts = st.builds(
    Contact,
    id=st.builds(ids.new),
    etag=st.integers(1, 99).map(lambda version: f'"{version}"'),
    create_time=moments,
    last_contacted_time=st.none() | moments,
    given_name=words,
    company_id=st.just("") | st.builds(ids.new),
    emails=st.lists(st.builds(dict, address=words, label=words), max_size=3),
    tags=st.lists(words, max_size=3),
    address=st.none() | st.builds(dict, lines=st.lists(words, max_size=2), city=words),
    status=st.sampled_from(ContactStatus.values()),
)


@given(contacts)
def test_a_message_comes_back_from_its_row_as_it_was(contact: Contact) -> None:
    values = ROWS.values(contact)
    row = {name: orjson.loads(value) if name in JSON and value is not None else value for name, value in values.items()}
    assert ROWS.message({**row, VERSION: int(contact.etag.strip('"'))}) == contact


def test_columns_are_the_fields_that_the_table_has_and_the_version() -> None:
    fields = ["id", "create_time", "given_name", "emails", "company_id", "status", "address", "tags", "last_contacted_time"]
    assert set(ROWS.columns) == {*fields, "version"}


def test_an_empty_text_in_a_nullable_column_is_null() -> None:
    assert ROWS.values(Contact())["company_id"] is None
    assert ROWS.values(Contact())["given_name"] == ""


def test_enums_are_stored_by_their_short_names() -> None:
    assert enum_names(Role.DESCRIPTOR)[Role.ROLE_READ_ONLY] == "read_only"
    assert enum_numbers(ContactStatus.DESCRIPTOR) == {"unspecified": 0, "active": 1, "inactive": 2, "archived": 3}
