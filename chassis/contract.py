"""The contract as data: policies of RPCs, subjects of events, names of permissions, read once from the descriptors."""

import importlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.message import Message

from kith.options.v1 import options_pb2, permissions_pb2

PREFIX: Final = "kith."
SEALED: Final = "sealed"
"""The field in which an event carries its personal fields encrypted."""


T = TypeVar("T")


def per_kind(function: Callable[[type[Message]], T]) -> Callable[[type[Message]], T]:
    """Remember the function's result for each message class; the stub of `cache` does not see that classes are hashable."""
    return cast("Callable[[type[Message]], T]", cache(function))


class ContractError(Exception):
    """The contract leaves something open that must be said; no process may serve it."""


class Access(StrEnum):
    """Who may call an RPC."""

    PERMISSION = "permission"
    SIGNED_IN = "signed_in"
    PUBLIC = "public"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One RPC and its policy. `deadline` is in seconds, None where the chassis default stands."""

    path: str
    name: str
    service: str
    package: str
    access: Access
    permission: int
    rate_tier: int
    audit: int
    idempotency: int
    deadline: float | None
    feature: str
    resource: tuple[str, ...]
    step_up_max_age: float | None
    key_set: bool
    request: type[Message]
    response: type[Message]
    client_streaming: bool
    server_streaming: bool

    @property
    def full_name(self) -> str:
        """Return "kith.crm.v1.ContactService/GetContact", the form that metrics and spans use."""
        return self.path[1:]


@dataclass(frozen=True, slots=True)
class Event:
    """One kind of event: its subject without the platform's prefix and the tenant, and the path to its aggregate's id."""

    subject: str
    key: tuple[str, ...]
    kind: type[Message]


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """One kind of event that live readers may see: its subject, message, the permission that it takes, and the field of its resource."""

    subject: str
    message: str
    permission: int
    resource: str

    @property
    def service(self) -> str:
        """Return the service that publishes it."""
        return self.subject.partition(".")[0]


def methods(service: str) -> Iterator[Method]:
    """Yield the RPCs of a service by its full name; raise ContractError for the first one whose policy is incomplete."""
    descriptor: ServiceDescriptor = descriptor_pool.Default().FindServiceByName(service)
    for each in descriptor.methods:
        yield _method(each)


def _method(descriptor: MethodDescriptor) -> Method:
    service = descriptor.containing_service
    path = f"/{service.full_name}/{descriptor.name}"
    options = descriptor.GetOptions()
    if not options.HasExtension(options_pb2.policy):
        raise ContractError(f"{path} has no policy")
    policy = options.Extensions[options_pb2.policy]
    access = policy.WhichOneof("access")
    if access is None or (access != "permission" and not getattr(policy, access)):
        raise ContractError(f"{path}: its policy does not say who may call")
    permission = permissions_pb2.Permission.Name(policy.permission)
    if access == "permission" and not permission.startswith(_permission_prefix(service.file.package)):
        raise ContractError(f"{path}: {permission} is no permission of {service.file.package}")
    if not policy.rate_tier:
        raise ContractError(f"{path}: its policy has no rate tier")
    return Method(
        path=path,
        name=descriptor.name,
        service=service.full_name,
        package=service.file.package,
        access=Access(access),
        permission=policy.permission,
        rate_tier=policy.rate_tier,
        audit=policy.audit,
        idempotency=policy.idempotency,
        deadline=policy.deadline.ToTimedelta().total_seconds() if policy.HasField("deadline") else None,
        feature=policy.feature,
        resource=tuple(policy.resource.split(".")) if policy.resource else (),
        step_up_max_age=policy.step_up_max_age.ToTimedelta().total_seconds() if policy.HasField("step_up_max_age") else None,
        key_set=policy.key_set,
        request=message_factory.GetMessageClass(descriptor.input_type),
        response=message_factory.GetMessageClass(descriptor.output_type),
        client_streaming=descriptor.client_streaming,
        server_streaming=descriptor.server_streaming,
    )


def _permission_prefix(package: str) -> str:
    """Return the prefix of a package's permissions: "kith.crm.v1" asks for PERMISSION_CRM_..."""
    return f"PERMISSION_{package.split('.')[1].upper()}_"


def permission_name(number: int) -> str:
    """Return a permission's name without its prefix, or its number where it is newer than this process."""
    value = permissions_pb2.Permission.DESCRIPTOR.values_by_number.get(number)
    return value.name.removeprefix("PERMISSION_") if value else str(number)


@per_kind
def event(kind: type[Message]) -> Event:
    """Return how an event message is published; raise ContractError if it is no event."""
    option = kind.DESCRIPTOR.GetOptions().Extensions[options_pb2.event]
    if not option.subject or not option.key:
        raise ContractError(f"{kind.DESCRIPTOR.full_name} is no event: it has no subject or no key")
    if holds_sensitive(kind.DESCRIPTOR) and SEALED not in kind.DESCRIPTOR.fields_by_name:
        raise ContractError(f"{kind.DESCRIPTOR.full_name} holds personal data and has no field {SEALED!r} to carry it in")
    return Event(option.subject, tuple(option.key.split(".")), kind)


def at(message: Message, path: Iterable[str]) -> str:
    """Return the text at a path of field names."""
    value: object = message
    for step in path:
        value = getattr(value, step)
    return str(value)


@per_kind
def aggregate(kind: type[Message]) -> Any:
    """Return the field of an event that holds the whole resource, None for an event that names only an id."""
    key = event(kind).key
    return kind.DESCRIPTOR.fields_by_name[key[0]] if len(key) > 1 else None


@per_kind
def sensitive(kind: type[Message]) -> dict[str, int]:
    """Return the fields of a message that are PERSONAL or SECRET, with their sensitivity."""
    marked = {field.name: _sensitivity(field) for field in kind.DESCRIPTOR.fields}
    return {name: level for name, level in marked.items() if level}


def is_sensitive(field: Any) -> bool:
    """Say whether the field of this descriptor is PERSONAL or SECRET."""
    return bool(_sensitivity(field))


def holds_sensitive(kind: Any) -> bool:
    """Say whether the message type of this descriptor has a PERSONAL or SECRET field at any depth."""
    seen: set[str] = set()
    waiting = [kind]
    while waiting:
        each = waiting.pop()
        if any(is_sensitive(field) for field in each.fields):
            return True
        seen.add(each.full_name)
        waiting += [field.message_type for field in each.fields if field.message_type and field.message_type.full_name not in seen]
    return False


def _sensitivity(field: Any) -> int:
    level: int = field.GetOptions().Extensions[options_pb2.sensitivity]
    return level


def image() -> FileDescriptorSet:
    """Return the whole contract with its comments, as the generator wrote it beside the generated code."""
    return FileDescriptorSet.FromString((Path(options_pb2.__file__).parents[3] / "contract.binpb").read_bytes())


@cache
def session_ended() -> type[Message]:
    """Return the one event that says that a session must be served no longer; nobody has to know which service says it."""
    found = [
        f"{file.package}.{message.name}"
        for file in image().file
        for message in file.message_type
        if message.options.Extensions[options_pb2.event].ends_session
    ]
    if len(found) != 1:
        raise ContractError(f"one event must end sessions, the contract has {len(found)}")
    package = found[0].rpartition(".")[0]
    importlib.import_module(f"{package}.events_pb2")
    return message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(found[0]))


@cache
def live_events() -> tuple[LiveEvent, ...]:
    """Return the events that carry a permission: only they are ever shown live."""
    return tuple(
        LiveEvent(option.subject, f"{file.package}.{message.name}", option.permission, option.key.partition(".")[0])
        for file in image().file
        for message in file.message_type
        if (option := message.options.Extensions[options_pb2.event]).permission
    )


@cache
def key_readers(service: str) -> frozenset[str]:
    """Return the other services that may have the keys to the personal fields of a service's events."""
    files = (file for file in image().file if file.package.startswith(f"{PREFIX}{service}."))
    return frozenset(name for file in files for name in file.options.Extensions[options_pb2.key_readers])


@cache
def key_set_method() -> str:
    """Return the path of the one RPC that answers with the key set; nobody has to know which service signs."""
    found = [
        f"/{file.package}.{service.name}/{method.name}"
        for file in image().file
        for service in file.service
        for method in service.method
        if method.options.Extensions[options_pb2.policy].key_set
    ]
    if len(found) != 1:
        raise ContractError(f"one RPC must answer with the key set, the contract has {len(found)}")
    return found[0]
