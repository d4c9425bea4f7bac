"""An event in two parts: nothing personal is left in the clear one, and both together are the event, whatever its shape."""

import importlib
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.message import Message
from grpc_tools import protoc
from hypothesis import given
from hypothesis import strategies as st

from chassis import contract
from chassis.contract import ContractError
from chassis.sealing.split import split
from kith.crm.v1.contacts_pb2 import Contact
from kith.crm.v1.events_pb2 import ContactCreated, ContactPurged
from kith.options.v1 import options_pb2
from stack.generate import ROOT

BITS = {
    FieldDescriptor.CPPTYPE_INT32: 31,
    FieldDescriptor.CPPTYPE_INT64: 63,
    FieldDescriptor.CPPTYPE_UINT32: 32,
    FieldDescriptor.CPPTYPE_UINT64: 64,
}

ODD = """
syntax = "proto3";
package odd;
import "kith/options/v1/options.proto";

message Odd {
  option (kith.options.v1.event) = {subject: "crm.odd.happened.v1" key: "id"};
  string id = 1;
  Mixed one = 2;
  repeated Mixed many = 3;
  Plain plain = 4;
  repeated Plain plains = 5;
  Plain whole = 6 [(kith.options.v1.sensitivity) = SENSITIVITY_PERSONAL];
  repeated string lines = 7 [(kith.options.v1.sensitivity) = SENSITIVITY_PERSONAL];
  repeated string tags = 8;
  map<string, string> open = 9;
  map<string, Mixed> mixed = 10;
  map<int32, Plain> closed = 11 [(kith.options.v1.sensitivity) = SENSITIVITY_PERSONAL];
  bytes sealed = 15;
}
message Mixed {
  oneof choice {
    string open_choice = 1;
    string closed_choice = 2 [(kith.options.v1.sensitivity) = SENSITIVITY_PERSONAL];
    Mixed mixed_choice = 3;
    Plain plain_choice = 4;
  }
  string name = 5 [(kith.options.v1.sensitivity) = SENSITIVITY_PERSONAL];
  string label = 6;
  optional bool maybe = 7 [(kith.options.v1.sensitivity) = SENSITIVITY_PERSONAL];
  optional int64 perhaps = 8;
}
message Plain {
  string text = 1;
  repeated int64 numbers = 2;
}
message Bare {
  option (kith.options.v1.event) = {subject: "crm.bare.happened.v1" key: "odd.id"};
  Odd odd = 1;
}
"""
"""An event with everything that a message can have, personal and not; and one without a place for its personal part."""


def compiled() -> Iterator[type[Message]]:
    with TemporaryDirectory() as folder:
        (Path(folder) / "odd.proto").write_text(ODD)
        includes = (f"-I{path}" for path in (folder, ROOT / "protos", resources.files("grpc_tools") / "_proto"))
        assert protoc.main(["protoc", *includes, f"--descriptor_set_out={folder}/image", f"{folder}/odd.proto"]) == 0
        (file,) = FileDescriptorSet.FromString((Path(folder) / "image").read_bytes()).file
    pool = descriptor_pool.Default()
    pool.Add(file)
    for name in ("odd.Odd", "odd.Bare"):
        yield message_factory.GetMessageClass(pool.FindMessageTypeByName(name))


def of_the_contract() -> Iterator[type[Message]]:
    for file in contract.image().file:
        for each in file.message_type:
            if each.options.Extensions[options_pb2.event].subject:
                importlib.import_module(file.name.removesuffix(".proto").replace("/", ".") + "_pb2")
                yield message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(f"{file.package}.{each.name}"))


Odd, Bare = compiled()
EVENTS = [*of_the_contract(), Odd]


def values(field: FieldDescriptor, depth: int) -> st.SearchStrategy[Any]:
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_MESSAGE:
            return filled(field.message_type, depth - 1)
        case FieldDescriptor.CPPTYPE_ENUM:
            return st.sampled_from([value.number for value in field.enum_type.values])
        case FieldDescriptor.CPPTYPE_BOOL:
            return st.booleans()
        case FieldDescriptor.CPPTYPE_STRING:
            return st.binary(max_size=4) if field.type == FieldDescriptor.TYPE_BYTES else st.text(max_size=4)
        case FieldDescriptor.CPPTYPE_DOUBLE | FieldDescriptor.CPPTYPE_FLOAT:
            return st.floats(allow_nan=False, width=32)
        case kind:
            return st.integers(0, 2 ** BITS[kind] - 1)


@st.composite
def filled(draw: st.DrawFn, kind: Descriptor, depth: int = 4) -> Message:
    """Draw a message with any of its fields set; of alternatives the last one drawn is."""
    message: Any = message_factory.GetMessageClass(kind)()
    for field in kind.fields:
        if field.name == contract.SEALED or (field.message_type and not depth) or draw(st.booleans()):
            continue
        if not field.is_repeated:
            value = draw(values(field, depth))
            getattr(message, field.name).CopyFrom(value) if field.message_type else setattr(message, field.name, value)
        elif field.message_type and field.message_type.GetOptions().map_entry:
            for entry in draw(st.lists(filled(field.message_type, depth), max_size=3)):
                message.MergeFrom(type(message)(**{field.name: {entry.key: entry.value}}))
        else:
            getattr(message, field.name).extend(draw(st.lists(values(field, depth), max_size=3)))
    return message


def personal(message: Message) -> Iterator[str]:
    """Yield what is set of the personal fields of a message, at any depth."""
    for field, value in message.ListFields():
        if contract.is_sensitive(field):
            yield field.full_name
        elif field.message_type and field.message_type.GetOptions().map_entry:
            inner = field.message_type.fields_by_name["value"]
            yield from (name for each in value.values() if inner.message_type for name in personal(each))
        elif field.message_type:
            yield from (name for each in (value if field.is_repeated else [value]) for name in personal(each))


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.DESCRIPTOR.name)
@given(data=st.data())
def test_the_parts_are_the_event_and_the_clear_one_holds_nothing_personal(kind: type[Message], data: st.DataObject) -> None:
    event = data.draw(filled(kind.DESCRIPTOR))
    parts = split(event)
    clear = kind.FromString(parts.clear)
    assert list(personal(clear)) == []
    assert parts.personal or not any(personal(event))
    clear.MergeFromString(parts.personal)
    assert clear == event


def test_an_event_is_left_as_it_is() -> None:
    event = ContactCreated(contact=Contact(id="1", given_name="Ann", emails=[{"address": "ann@example.com", "label": "work"}]))
    before = ContactCreated()
    before.CopyFrom(event)
    split(event)
    assert event == before


def test_an_event_without_anything_personal_has_one_part() -> None:
    event = ContactPurged(contact=Contact(id="1", etag='"2"'))
    assert split(event) == (event.SerializeToString(), b"")


def test_what_a_process_does_not_know_is_in_neither_part() -> None:
    unknown = b"\xfa\x3f\x03Ann"  # field 1023, a text
    event = ContactCreated.FromString(ContactCreated(contact=Contact(id="1", given_name="Lee")).SerializeToString() + unknown)
    assert b"Ann" in event.SerializeToString()
    assert b"Ann" not in b"".join(split(event))


def test_an_event_that_has_no_place_for_its_personal_part_is_none() -> None:
    with pytest.raises(ContractError, match="no field 'sealed'"):
        contract.event(Bare)
