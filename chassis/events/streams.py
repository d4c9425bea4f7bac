"""The streams that keep events: one for each service, made by an operator and never by a service."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import NotFoundError

from chassis import names

DAY: Final = 24 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much a stream keeps. -1 means without bound."""

    max_age: float = 30 * DAY  # seconds; consumers that were away for longer rebuild from the outbox
    max_bytes: int = -1
    max_message_bytes: int = 1024 * 1024
    replicas: int = 1
    duplicate_window: float = 600  # seconds in which one message id is taken once: longer than any pause of the relay


async def ensure_streams(jetstream: JetStreamContext, services: Iterable[str], limits: Limits | None = None) -> None:
    """Make the stream of each service, or bring it to what is said here; what it holds stays."""
    for service in services:
        config = configuration(service, limits or Limits())
        try:
            await jetstream.update_stream(config)
        except NotFoundError:
            await jetstream.add_stream(config)


def configuration(service: str, limits: Limits) -> StreamConfig:
    """Return how a service's stream is kept."""
    return StreamConfig(
        name=names.stream(service),
        subjects=[names.subjects(service)],
        retention=RetentionPolicy.LIMITS,
        discard=DiscardPolicy.OLD,
        storage=StorageType.FILE,
        max_age=limits.max_age,
        max_bytes=limits.max_bytes,
        max_msg_size=limits.max_message_bytes,
        num_replicas=limits.replicas,
        duplicate_window=limits.duplicate_window,
        allow_direct=True,
    )
