"""Every message of an `events.proto` has a subject of its own package and a key; personal fields have a place to be sealed in."""

import re
from collections.abc import Iterator
from typing import Final

from google.protobuf.descriptor_pb2 import FieldDescriptorProto

from chassis.contract import SEALED
from stack.contract_check.fault import Fault
from stack.contract_check.image import Image, Message

_FILE: Final = "/events.proto"
_SEALED: Final = (FieldDescriptorProto.TYPE_BYTES, 15)  # the last number whose tag is one byte, so that resources come before it


def check(image: Image) -> Iterator[Fault]:
    """Report events without a subject or a key, and subjects that are foreign, malformed or taken."""
    yield from _check_readers(image)
    taken: dict[str, str] = {}
    for message in image.messages.values():
        if message.event is None:
            if message.top_level and message.file.endswith(_FILE):
                yield Fault(message.where, f"{message.full_name} stands in events.proto and has no event option")
            continue
        yield from _check_event(image, message, message.event.subject, message.event.key)
        first = taken.setdefault(message.event.subject, message.full_name)
        if first != message.full_name:
            yield Fault(message.where, f"{message.full_name} has the subject of {first}")


def _check_event(image: Image, message: Message, subject: str, key: str) -> Iterator[Fault]:
    if not message.file.endswith(_FILE):
        yield Fault(message.where, f"{message.full_name} is an event and does not stand in events.proto")
    service = message.package.split(".")[1]
    if not re.fullmatch(rf"{service}\.[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*\.v[1-9][0-9]*", subject):
        yield Fault(message.where, f"the subject '{subject}' of {message.full_name} is not {service}.<noun>.<what happened>.v<N>")
    field = image.resolve(message.full_name, key)
    if field is None or field.is_repeated or not field.is_text:
        yield Fault(message.where, f"the key '{key}' of {message.full_name} leads to no single text field")
    elif field.sensitivity:
        yield Fault(message.where, f"the key '{key}' of {message.full_name} is sensitive and would stand on its outside")
    yield from _check_sealed(image, message)
    yield from _check_live(image, message)


def _check_sealed(image: Image, message: Message) -> Iterator[Fault]:
    """Report an event whose personal fields have no place to be sealed in, and a place where there is nothing to seal."""
    field = message.fields.get(SEALED)
    personal = any(held.sensitivity for held in image.reachable(message.full_name))
    if personal and (field is None or field.is_repeated or (field.proto.type, field.proto.number) != _SEALED):
        yield Fault(message.where, f"{message.full_name} holds personal data and has no `bytes {SEALED} = {_SEALED[1]}`")
    if field is not None and not personal:
        yield Fault(message.where, f"{message.full_name} has a field {SEALED} and holds nothing personal")


def _check_readers(image: Image) -> Iterator[Fault]:
    """Report readers of keys that no service is, and personal data that is shown live by somebody who may not read it."""
    services = {method.package for method in image.methods}
    showing = {method.package for method in image.methods if method.policy and method.policy.live_ticket}
    for message in image.messages.values():
        if message.event is None or SEALED not in message.fields:
            continue
        readers = {f"kith.{name}.v1" for name in image.key_readers(message.package)}
        for reader in sorted(readers - (services - {message.package})):
            yield Fault(message.where, f"{message.full_name} lets {reader} read its keys, which is no other service")
        if message.event.permission and not showing <= readers:
            yield Fault(message.where, f"{message.full_name} is shown live by {min(showing)}, which may not read its keys")


def _check_live(image: Image, message: Message) -> Iterator[Fault]:
    """Report an event that readers could not be shown: they are shown its resource, if they may read it."""
    if message.event is None or not message.event.permission:
        return
    name = image.permissions.get(message.event.permission, str(message.event.permission))
    prefix = f"PERMISSION_{message.package.split('.')[1].upper()}_"
    if not name.startswith(prefix) or not name.endswith("_READ"):
        yield Fault(message.where, f"{message.full_name} is shown to holders of {name}, which is no {prefix}..._READ")
    if "." not in message.event.key:
        yield Fault(message.where, f"{message.full_name} has a permission and no resource that could be shown")
