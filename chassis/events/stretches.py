"""Stretches of a stream that an operator wants handled once more.

Each is a durable consumer that the operator makes: where it starts, which subjects, and in its metadata where it ends and under
which name the inbox remembers it. So it lies with the server, outlives every process, and goes when it is done.
"""

from dataclasses import dataclass
from typing import Final, Self

from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, ConsumerInfo
from nats.js.errors import NotFoundError

from chassis import contract, ids, names

_ID: Final = "kith-replay"
_UNTIL: Final = "kith-until"


@dataclass(frozen=True, slots=True)
class Stretch:
    """A replay's id, and the last position that it goes to."""

    id: str
    until: int

    @classmethod
    def of(cls, info: ConsumerInfo) -> Self:
        """Return the stretch that a consumer was made for."""
        said = info.config.metadata or {}
        return cls(said[_ID], int(said[_UNTIL]))

    def metadata(self) -> dict[str, str]:
        """Return what a consumer says of it."""
        return {_ID: self.id, _UNTIL: str(self.until)}

    def left(self, info: ConsumerInfo) -> int:
        """Return how many events may still have to be handled; new ones that were given out are passed over, and count until they are."""
        if info.ack_floor and info.ack_floor.stream_seq >= self.until:
            return 0
        return (info.num_pending or 0) + (info.num_ack_pending or 0)


async def ask(jetstream: JetStreamContext, *, service: str, stream: str, start: ConsumerConfig, kind: str = "") -> ConsumerInfo:
    """Have a service handle the events of a stream once more, from where `start` says to the last one there is; all types or one.

    The answer is the consumer that was made for it, or the one of a replay that is under way. Raises NotFoundError when the
    service consumes nothing of the kind.
    """
    if under_way := await find(jetstream, service=service, stream=stream):
        return under_way
    durable = names.rereader(service)
    live = (await jetstream.consumer_info(stream, service)).config
    subjects = [subject for subject in live.filter_subjects or [] if not kind or subject == f"{contract.PREFIX}{kind}.*"]
    if not subjects:
        raise NotFoundError(description=f"{service} handles no {kind}")
    until = (await jetstream.stream_info(stream)).state.last_seq
    config = start.evolve(
        name=durable,
        durable_name=durable,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=live.ack_wait,
        max_deliver=-1,
        max_ack_pending=live.max_ack_pending,
        filter_subjects=subjects,
        metadata=Stretch(ids.new(), until).metadata(),
    )
    made: ConsumerInfo = await jetstream.add_consumer(stream, config)
    return made


async def find(jetstream: JetStreamContext, *, service: str, stream: str) -> ConsumerInfo | None:
    """Return the consumer of the replay that is under way, if one is."""
    try:
        info: ConsumerInfo = await jetstream.consumer_info(stream, names.rereader(service))
    except NotFoundError:
        return None
    return info


async def end(jetstream: JetStreamContext, *, service: str, stream: str) -> None:
    """Take the consumer of a replay away, be the replay done or called off. Raises NotFoundError when there is none."""
    await jetstream.delete_consumer(stream, names.rereader(service))
