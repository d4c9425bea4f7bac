"""Every process hears of ended sessions, and notices when it may have missed one."""

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from chassis import ids
from chassis.events.broadcast import Broadcast
from chassis.events.broker import Broker
from chassis.events.ordered import unbroken
from kith.identity.v1.events_pb2 import SessionEnded
from tests.unit.chassis.moving import eventually
from tests.unit.chassis.servers import Nats


async def test_every_process_hears_of_ended_sessions(broker: Broker, nats_server: Nats) -> None:
    heard: list[str] = []
    also: list[str] = []
    tenant = ids.new()

    async def end(session: str) -> None:
        event = SessionEnded(session_id=session).SerializeToString()
        await broker.jetstream.publish(f"kith.identity.session.ended.v1.{tenant}", event)

    await end("before")
    async with (
        Broadcast(broker, SessionEnded, lambda event: heard.append(event.session_id)),
        Broadcast(broker, SessionEnded, lambda event: also.append(event.session_id)),
    ):
        await eventually(lambda: heard == also == ["before"])
        await end("now")
        await eventually(lambda: heard == also == ["before", "now"])
        await nats_server.stop()
        await nats_server.start()
        await eventually(lambda: broker.client.is_connected)
        await end("later")
        await eventually(lambda: "later" in heard and "later" in also)


def ended_session(place: int) -> Msg:
    event = SessionEnded(session_id=str(place)).SerializeToString()
    return Msg(Client(), subject="s", reply=f"$JS.ACK.KITH_IDENTITY.c.1.{place}.{place}.1795251665736017691.0", data=event)


def heartbeat(last: int) -> Msg:
    return Msg(Client(), subject="s", headers={"Status": "100", "Nats-Last-Consumer": str(last)})


def test_a_gap_among_ended_sessions_is_noticed() -> None:
    first, second = ended_session(1), ended_session(2)
    assert unbroken([heartbeat(0), first, second, heartbeat(2)], 0) == [first, second]
    assert unbroken([heartbeat(1), second], 1) == [second]
    for waiting in ([ended_session(3)], [heartbeat(2)], [second, heartbeat(3)], [second, ended_session(4)], [second, None]):
        with pytest.raises(ConnectionError):
            unbroken(waiting, 1)
