"""What a tenant's readers missed: events of the past, read straight from a stream."""

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Final

from nats.aio.msg import Msg

from chassis import names
from chassis.events.broker import Broker

BATCH: Final = 256  # messages asked for at once
ANSWER_SECONDS: Final = 5.0
_NUMBER: Final = "Nats-Sequence"
_SUBJECT: Final = "Nats-Subject"


class GoneError(LookupError):
    """What was missed is not there any more."""


async def missed(broker: Broker, *, service: str, tenant_id: str, after: int, until: int) -> AsyncGenerator[tuple[int, str, Msg], None]:
    """Yield the tenant's events with numbers above `after` up to `until`: number, subject and message. Raise GoneError."""
    stream = names.stream(service)
    state = (await broker.jetstream.stream_info(stream)).state
    if after + 1 < state.first_seq or after > state.last_seq:
        raise GoneError(stream)
    while after < until:
        batch = await _batch(broker, stream, subjects=names.subjects_of(service, tenant_id), start=after + 1)
        for message in batch:
            headers = message.headers or {}
            after = int(headers[_NUMBER])
            if after > until:
                return
            yield after, headers[_SUBJECT], message
        if len(batch) < BATCH:
            return


async def _batch(broker: Broker, stream: str, *, subjects: str, start: int) -> list[Msg]:
    """Return the next messages of the subjects; the server ends its answer with a message that has a status and no number."""
    client = broker.client
    found: list[Msg] = []
    subscription = await client.subscribe(inbox := client.new_inbox())
    try:
        asked = {"seq": start, "next_by_subj": subjects, "batch": BATCH}
        await client.publish(f"$JS.API.DIRECT.GET.{stream}", json.dumps(asked).encode(), reply=inbox)
        async with asyncio.timeout(ANSWER_SECONDS):
            while _NUMBER in ((message := await subscription.next_msg(None)).headers or {}):
                found.append(message)
    finally:
        if not client.is_closed:
            await subscription.unsubscribe()
    return found
