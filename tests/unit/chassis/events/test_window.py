"""A window says of each message whether the stream has it."""

import nats.errors
import pytest
from nats.js.errors import APIError

from chassis import ids, names
from chassis.events import window
from chassis.events.broker import Broker
from chassis.events.streams import Limits, configuration
from chassis.events.window import Message, Window
from tests.unit.chassis.servers import Nats

SUBJECT = f"kith.crm.contact.updated.v1.{ids.new()}"


def messages(count: int) -> list[Message]:
    return [Message(SUBJECT, b"x", {"Nats-Msg-Id": ids.new()}) for _ in range(count)]


async def stored(broker: Broker) -> int:
    return (await broker.jetstream.stream_info("KITH_CRM")).state.messages


async def test_many_messages_are_answered_for_one_by_one(broker: Broker) -> None:
    await broker.jetstream.update_stream(configuration("crm", Limits(max_message_bytes=10_000)))
    sent = messages(3 * window.SIZE + 7)
    sent[5] = Message(SUBJECT, b"x" * 20_000, {})
    sent[-1] = Message(SUBJECT, b"x" * (1024 * 1024), {})
    failures = await Window(broker.client, names.stream("crm")).publish(sent)
    assert [place for place, failure in enumerate(failures) if failure] == [5, len(sent) - 1]
    assert isinstance(failures[5], APIError)
    assert isinstance(failures[-1], nats.errors.MaxPayloadError)
    assert await stored(broker) == len(sent) - 2


async def test_nothing_is_waited_for_for_ever_and_late_answers_are_for_nobody(
    broker: Broker, nats_server: Nats, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher = Window(broker.client, names.stream("crm"))
    monkeypatch.setattr(window, "ACK_SECONDS", 60.0)
    assert await publisher.publish(messages(1)) == [None]
    await nats_server.stop()
    monkeypatch.setattr(window, "ACK_SECONDS", 0.2)
    assert all(await publisher.publish(messages(window.SIZE + 1)))
    await nats_server.start()
    monkeypatch.setattr(window, "ACK_SECONDS", 60.0)
    assert await publisher.publish(messages(10)) == [None] * 10
    assert await stored(broker) >= 11
