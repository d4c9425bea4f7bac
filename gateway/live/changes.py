"""Events as readers see them: each is read, opened and shown once, however many read it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
import structlog
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError

from chassis import contract
from chassis.events.envelope import Envelope
from chassis.json.encoders import Encoders
from chassis.json.kinds import FIELD_MASK
from chassis.sealing.opening import Incoming, Opener
from chassis.vault import VaultError
from gateway.contract import Contract
from kith.edge.v1 import live_pb2

LIVE_EVENT: Final = live_pb2.LiveEvent.DESCRIPTOR.full_name
_TYPES: Final = "type.googleapis.com/"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Change:
    """What is sent to a reader: JSON, and the same as a server-sent event. A sign of life has no JSON."""

    id: str
    json: bytes
    frame: bytes


@dataclass(frozen=True, slots=True)
class Heard:
    """An event that was read, and the message that readers will be shown of it."""

    incoming: Incoming
    live: Any


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of event that may be shown: the permission that it takes, what reads it, None if it is none, and what shows it."""

    permission: int
    read: Callable[[Mapping[str, str] | None, bytes], Heard | None]
    show: Callable[[Heard, str], Change]


BEAT: Final = Change("", b"", b": \n\n")
"""A sign of life: a comment in server-sent events, which a reader does not see."""


def ready(event_id: str) -> Change:
    """Return what every stream begins with: from this id on the reader misses nothing."""
    return _named(event_id, "ready")


def resync(event_id: str) -> Change:
    """Return what stands where changes were left out: the reader reads its lists again and goes on from this id."""
    return _named(event_id, "resync")


def _named(event_id: str, name: str) -> Change:
    said = orjson.dumps({"id": event_id, "type": name})
    return Change(event_id, said, b"event: %b\n%b" % (name.encode(), _frame(event_id, said)))


def _frame(event_id: str, said: bytes) -> bytes:
    return b"id: %b\ndata: %b\n\n" % (event_id.encode(), said)


def kinds(described: Contract) -> dict[str, Kind]:
    """Return the kinds of events that the contract lets be shown, by their subject without prefix and tenant."""
    encoders = Encoders(described.pool)
    return {each.subject: _kind(described, encoders, each) for each in contract.live_events()}


async def opened(event: Heard, opener: Opener) -> bool:
    """Give an event its personal fields back; say False of one that was changed on its way. Raises what the opener raises else."""
    try:
        await opener.open(event.incoming)
    except VaultError:
        log.warning("live_event_unreadable", subject=event.incoming.kind)
        return False
    return True


def _kind(described: Contract, encoders: Encoders, event: contract.LiveEvent) -> Kind:
    descriptor = described.pool.FindMessageTypeByName(event.message)
    parse = described.message_class(descriptor).FromString
    changed = _mask(descriptor)
    shown = described.pool.FindMessageTypeByName(LIVE_EVENT)
    new: Any = described.message_class(shown)
    encode = encoders.message(shown)

    def read(headers: Mapping[str, str] | None, payload: bytes) -> Heard | None:
        try:
            envelope, message = Envelope.of_headers(headers), parse(payload)
            live = new(type=envelope.type)
            live.time.FromJsonString(envelope.time)
        except (DecodeError, ValueError):
            log.warning("live_event_unreadable", subject=event.subject)
            return None
        return Heard(Incoming(envelope.type, envelope.tenant_id, envelope.key, message), live)

    def show(heard: Heard, event_id: str) -> Change:
        message, live = heard.incoming.message, heard.live
        live.id = event_id
        live.resource.Pack(getattr(message, event.resource), type_url_prefix=_TYPES)
        if changed and message.HasField(changed):
            live.changed.CopyFrom(getattr(message, changed))
        said = orjson.dumps(encode(live))
        return Change(event_id, said, _frame(event_id, said))

    return Kind(event.permission, read, show)


def _mask(event: Descriptor) -> str:
    """Return the name of the field that says what changed; empty for an event without one."""
    masks = (field.name for field in event.fields if field.message_type and field.message_type.full_name == FIELD_MASK)
    return next(masks, "")
