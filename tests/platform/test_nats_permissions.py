"""Each service may publish its own events and consume what it needs, and nothing else."""

import asyncio

import nats
import pytest
from nats.aio.client import Client
from nats.errors import TimeoutError as NoAnswerError
from nats.js.api import ConsumerConfig

from chassis import names
from stack.topology import EDGE, NATS, SERVICES
from stack.wiring import Wiring
from tests.unit.chassis.moving import eventually

SECONDS = 1.0


async def _connect(platform: Wiring, user: str, refusals: list[str]) -> Client:
    async def refused(error: Exception) -> None:
        refusals.append(str(error))

    return await nats.connect(platform.nats_url(user), inbox_prefix=names.inbox(user), error_cb=refused)


@pytest.mark.parametrize("service", [service.name for service in (*SERVICES, EDGE)])
async def test_a_service_publishes_no_events_of_others(platform: Wiring, service: str) -> None:
    refusals: list[str] = []
    others = [each.name for each in SERVICES if each.name != service]
    async with await _connect(platform, service, refusals) as client:
        for other in others:
            await client.publish(f"kith.{other}.forged.v1.tenant", b"")
        await client.flush()
        await eventually(lambda: len(refusals) >= len(others))
    assert len(refusals) == len(others)
    assert all("permissions violation for publish" in refusal for refusal in refusals)


async def test_a_service_publishes_its_own_events(platform: Wiring) -> None:
    refusals: list[str] = []
    async with await _connect(platform, "ai", refusals) as client:
        answer = await client.jetstream().publish("kith.ai.tried.v1.tenant", b"")
    assert answer.stream == names.stream("ai")
    assert refusals == []


@pytest.mark.parametrize("subject", [">", "kith.>", "kith.identity.>", "_INBOX_identity.>", "$JS.>"])
async def test_a_service_hears_nothing_that_is_not_meant_for_it(platform: Wiring, subject: str) -> None:
    refusals: list[str] = []
    async with await _connect(platform, "billing", refusals) as client:
        await client.subscribe(subject)
        await client.flush()
        await eventually(lambda: bool(refusals))
    assert len(refusals) == 1
    assert "permissions violation for subscription" in refusals[0]


async def test_only_the_operator_changes_streams(platform: Wiring) -> None:
    refusals: list[str] = []
    async with await _connect(platform, "crm", refusals) as client:
        with pytest.raises(NoAnswerError):
            await client.jetstream(timeout=SECONDS).delete_stream(names.stream("crm"))
        await eventually(lambda: bool(refusals))
    assert len(refusals) == 1


async def test_a_consumer_on_a_stream_that_a_service_does_not_read_is_refused(platform: Wiring) -> None:
    refusals: list[str] = []
    async with await _connect(platform, "billing", refusals) as client:
        with pytest.raises(NoAnswerError):
            await client.jetstream(timeout=SECONDS).add_consumer(
                names.stream("crm"), ConsumerConfig(name="billing", durable_name="billing")
            )
        await eventually(lambda: bool(refusals))
    assert len(refusals) == 1


async def test_a_wrong_password_is_refused(platform: Wiring) -> None:
    host, _, port = platform.address(NATS).partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    await reader.readline()
    writer.write(b'CONNECT {"user": "crm", "pass": "wrong"}\r\nPING\r\n')
    assert await reader.readline() == b"-ERR 'Authorization Violation'\r\n"
    writer.close()
    await writer.wait_closed()


async def test_a_service_changes_no_consumer_of_another(platform: Wiring) -> None:
    refusals: list[str] = []
    theirs = ConsumerConfig(name="crm", durable_name="crm", filter_subject="kith.identity.session.ended.v1.*")
    async with await _connect(platform, "billing", refusals) as client:
        with pytest.raises(NoAnswerError):
            await client.jetstream(timeout=SECONDS).add_consumer(names.stream("identity"), theirs)
        await eventually(lambda: bool(refusals))
    assert len(refusals) == 1
