"""Rules about what the platform says of itself report one planted fault in the real contract: numbers, grants, readers of keys."""

from collections.abc import Callable

import pytest
from google.protobuf.descriptor_pb2 import EnumDescriptorProto, EnumValueDescriptorProto, FileDescriptorProto, FileDescriptorSet

from kith.options.v1 import grants_pb2, options_pb2, permissions_pb2
from stack.contract_check import events, permissions
from stack.contract_check.image import Image
from stack.generate import CONTRACT, ROOT

ONE = "PERMISSION_CRM_SEARCH_MISSES_WRITE"


def with_fault(name: str, plant: Callable[[FileDescriptorProto], None]) -> Image:
    """Return the real contract after something was done to one of its files."""
    files = FileDescriptorSet.FromString((ROOT / "gen" / CONTRACT).read_bytes()).file
    plant(next(file for file in files if file.name == name))
    return Image(tuple(files))


def with_permissions(plant: Callable[[EnumDescriptorProto], None]) -> Image:
    return with_fault(permissions_pb2.DESCRIPTOR.name, lambda file: plant(file.enum_type[0]))


def one(enum: EnumDescriptorProto) -> EnumValueDescriptorProto:
    return next(value for value in enum.value if value.name == ONE)


def take_a_foreign_number(enum: EnumDescriptorProto) -> None:
    one(enum).number = 64


def grant_to_nobody(enum: EnumDescriptorProto) -> None:
    one(enum).options.ClearExtension(grants_pb2.grant)


def overlap(enum: EnumDescriptorProto) -> None:
    enum.options.Extensions[grants_pb2.block].add(service="web", first=60, last=62)


@pytest.mark.parametrize(
    ("plant", "said"),
    [
        (take_a_foreign_number, f"{ONE} = 64 stands in no block of its service"),
        (grant_to_nobody, f"{ONE} does not say which built-in roles hold it"),
        (overlap, "the block of crm from 2 overlaps that of web from 60"),
    ],
)
def test_a_permission_out_of_place_is_reported(plant: Callable[[EnumDescriptorProto], None], said: str) -> None:
    assert [fault.what for fault in permissions.check(with_permissions(plant))] == [said]


def test_events_that_are_shown_live_let_the_edge_read_their_keys() -> None:
    image = with_fault("kith/crm/v1/events.proto", lambda file: file.options.ClearExtension(options_pb2.key_readers))
    said = {fault.what.partition(" ")[2] for fault in events.check(image)}
    assert said == {"is shown live by kith.edge.v1, which may not read its keys"}


@pytest.mark.parametrize("reader", ["nobody", "identity"])
def test_a_reader_is_another_service(reader: str) -> None:
    image = with_fault("kith/identity/v1/events.proto", lambda file: file.options.Extensions[options_pb2.key_readers].append(reader))
    said = f"kith.identity.v1.MemberCreated lets kith.{reader}.v1 read its keys, which is no other service"
    assert [fault.what for fault in events.check(image)] == [said]
