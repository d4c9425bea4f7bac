"""What every resource of the contract has (AIP-148), whatever else it is."""

from typing import Protocol, cast

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp


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
    """Return a message as the resource that it is; the contract check holds what standard methods answer with to these fields."""
    return cast("Resource", message)
