"""What every resource of the contract has (AIP-148), whatever else it is."""

from datetime import datetime
from typing import Protocol, cast

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from chassis import etags


class Resource(Protocol):
    """The fields that the platform fills in."""

    id: str
    etag: str

    @property
    def create_time(self) -> Timestamp:
        """Time of creation."""

    @property
    def update_time(self) -> Timestamp:
        """Time of the last change."""


def resource(message: Message) -> Resource:
    """Return a message as the resource that it is; the contract check holds what can be updated to these fields."""
    return cast("Resource", message)


def begin(message: Message, resource_id: str, now: datetime) -> None:
    """Fill in what a new resource has: its id, its first version and its times."""
    new = resource(message)
    new.id, new.etag = resource_id, etags.of(1)
    new.create_time.FromDatetime(now)
    new.update_time.FromDatetime(now)


def advance(message: Message, now: datetime) -> None:
    """Bring a resource to its next version."""
    changed = resource(message)
    changed.etag = etags.of(etags.version(changed.etag) + 1)
    changed.update_time.FromDatetime(now)
