"""Rows become the same JSON with and without their messages, whichever mapping of the tree they belong to."""

import importlib
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import UninterpretedOption
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, Float, LargeBinary, MetaData, Table, Uuid
from sqlalchemy.dialects.postgresql import JSONB

from chassis import answers, ids
from chassis.answers import Pages
from chassis.context import Request, enter
from chassis.database import Found, encoding
from chassis.database.decoding import Columns
from chassis.json.encoders import Encoders
from chassis.listing import Page
from chassis.mapping import VERSION, Mapping

ROOT = Path(__file__).parents[2]
WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
MOMENTS = st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001
SCALARS = {
    FieldDescriptor.TYPE_STRING: WORDS,
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_INT64: st.integers(-(2**63), 2**63 - 1),
}


def held(kind: type) -> Iterator[tuple[str, Any]]:
    """Yield what the stores hold of a kind, by where it stands."""
    for path in sorted(ROOT.glob("services/**/store.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for name, value in vars(importlib.import_module(module)).items():
            if isinstance(value, kind):
                yield f"{module}.{name}", value


MAPPINGS = dict(held(Mapping))
PAGES = dict(held(Pages))


class Result:
    """A result as PostgreSQL sends it: rows of binary values, jsonb with its keys in an order of its own."""

    def __init__(self, mapping: Mapping[Any], messages: Sequence[Any]) -> None:
        self._columns = [mapping.table.c[name] for name in mapping.columns]
        self._rows = [mapping.values(each) | {VERSION: int(getattr(each, "etag", "").strip('"') or 1)} for each in messages]
        self.nfields = len(self._columns)
        self.ntuples = len(messages)

    def fname(self, place: int) -> bytes:
        return str(self._columns[place].name).encode()

    def ftype(self, place: int) -> int:
        return encoding._scalar(self._columns[place].type)[0]

    def get_value(self, number: int, place: int) -> bytes | None:
        column = self._columns[place]
        value = self._rows[number][column.name]
        if isinstance(column.type, JSONB) and value is not None:
            value = json.dumps(ordered(orjson.loads(value)), ensure_ascii=False)
        return None if value is None else encoding.encoder(column.type)(value)


def ordered(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: ordered(tree[key]) for key in sorted(tree, key=lambda key: (len(key), key))}
    return [ordered(each) for each in tree] if isinstance(tree, list) else tree


def found(mapping: Mapping[Any], messages: Sequence[Any]) -> Found:
    result: Any = Result(mapping, messages)
    return Found(result, Columns(result))


def resources(mapping: Mapping[Any]) -> st.SearchStrategy[Any]:
    described: Any = mapping.kind.DESCRIPTOR
    fields = {each.name: column(each, mapping) for each in described.fields if each.name in mapping.columns}
    etags = st.integers(1, 99).map(lambda version: f'"{version}"') if VERSION in mapping.columns else st.just("")
    return st.fixed_dictionaries({"etag": etags} if "etag" in described.fields_by_name else {}, optional=fields).map(
        lambda values: mapping.kind(**({"id": ids.new()} if "id" in mapping.columns else {}) | values)
    )


def column(field: FieldDescriptor, mapping: Mapping[Any]) -> st.SearchStrategy[Any]:
    return st.builds(ids.new) if isinstance(mapping.table.c[field.name].type, Uuid) else values(field)


def values(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    one = single(field)
    return st.lists(one, max_size=3) if field.is_repeated else one


def single(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    if field.enum_type is not None:
        return st.sampled_from([value.number for value in field.enum_type.values])
    return SCALARS[field.type] if field.message_type is None else trees(field.message_type)


def trees(descriptor: Descriptor) -> st.SearchStrategy[Any]:
    kind = message_factory.GetMessageClass(descriptor)
    if descriptor.full_name == "google.protobuf.Timestamp":
        return MOMENTS
    fields = {field.name: values(field) for field in descriptor.fields}
    return st.fixed_dictionaries({}, optional=fields).map(lambda given: kind(**given))


def by_the_edge(message: Any) -> bytes:
    return orjson.dumps(Encoders(descriptor_pool.Default()).message(message.DESCRIPTOR)(message))


@given(st.lists(st.builds(UninterpretedOption, double_value=st.floats(), string_value=st.binary(max_size=4)), min_size=1, max_size=3))
def test_what_has_no_short_cut_goes_through_its_message(messages: list[UninterpretedOption]) -> None:
    table = Table("odd", MetaData(), Column("double_value", Float), Column("string_value", LargeBinary))
    mapping = Mapping(UninterpretedOption, table)
    rows = found(mapping, messages)
    assert [orjson.dumps(each) for each in mapping.json(rows, 3)] == [by_the_edge(mapping.message(rows.row(n))) for n in range(rows.size)]


def test_there_is_something_to_be_tried() -> None:
    assert {"services.crm.contacts.store._MAPPING", "services.identity.members.store._MAPPING"} <= MAPPINGS.keys()
    assert "services.crm.contacts.store.PAGES" in PAGES


@pytest.mark.parametrize("name", MAPPINGS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_row_is_written_as_its_message_would_be(name: str, data: st.DataObject) -> None:
    mapping = MAPPINGS[name]
    messages = data.draw(st.lists(resources(mapping), min_size=1, max_size=3))
    rows = found(mapping, messages)
    enter(Request(request_id="rows", wants_json=True))
    answer: Any = answers.resource(mapping, rows)
    read = mapping.message(rows.row(0))
    assert read == messages[0]
    assert answer.json() == by_the_edge(read)
    assert answer.SerializeToString() == read.SerializeToString()
    assert answer.etag == read.etag
    assert [orjson.dumps(each) for each in mapping.json(rows, 2)] == [by_the_edge(each) for each in messages[:2]]


@pytest.mark.parametrize("name", PAGES)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_a_page_is_written_as_its_message_would_be(name: str, data: st.DataObject) -> None:
    pages = PAGES[name]
    rows = found(pages._mapping, data.draw(st.lists(resources(pages._mapping), max_size=3)))
    page = Page(rows, data.draw(st.integers(0, rows.size)), data.draw(WORDS))
    enter(Request(request_id="rows"))
    message = pages.answer(page)
    enter(Request(request_id="rows", wants_json=True))
    answer = pages.answer(page)
    assert (answer.json(), answer.etag) == (by_the_edge(message), "")
    assert answer.SerializeToString() == message.SerializeToString()
