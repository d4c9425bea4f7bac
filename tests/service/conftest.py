"""What a service says in the stream, read with the keys that it gives away."""

import asyncio
import importlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import pytest
from google.protobuf import message_factory
from nats.aio.client import Client
from nats.js.api import ConsumerConfig, DeliverPolicy

from chassis import contract, names
from chassis.sealing.opening import Incoming, Opener, Records
from kith.common.v1.subject_keys_pb2 import SearchSubjectKeysRequest, TenantRecords
from kith.common.v1.subject_keys_pb2_grpc import SubjectKeyServiceStub
from tests.conftest import Channel, ServiceToken


class Event(NamedTuple):
    """One event of the stream: its subject without prefix and tenant, its message, its headers."""

    subject: str
    message: Any
    headers: dict[str, str]


Told = Callable[[str, str, int], Awaitable[list[Event]]]


@pytest.fixture
def told(nats_admin: Client, channel: Channel, service_token: ServiceToken) -> Told:
    """`await told("crm", tenant_id, 3)` returns the three events of the organisation, opened, and fails when there are more."""

    def opener(service: str) -> Opener:
        stub = SubjectKeyServiceStub(channel(service))

        async def ask(records: Records) -> Mapping[tuple[str, str], bytes]:
            tenants = [TenantRecords(tenant_id=tenant_id, ids=subjects) for tenant_id, subjects in records.items()]
            metadata = (("x-kith-service", service_token(service, by=min(contract.key_readers(service)))),)
            answer = await stub.SearchSubjectKeys(SearchSubjectKeysRequest(tenants=tenants), metadata=metadata)
            return {(of.tenant_id, each.id): each.secret_key for of in answer.tenants for each in of.subject_keys}

        return Opener(ask)

    async def read(service: str, tenant_id: str, expected: int) -> list[Event]:
        kinds = _kinds(service)
        subscription = await nats_admin.jetstream().subscribe(
            f"kith.{service}.*.*.*.{tenant_id}",
            stream=names.stream(service),
            config=ConsumerConfig(deliver_policy=DeliverPolicy.ALL),
            ordered_consumer=True,
        )
        found = []
        async with asyncio.timeout(120):
            while len(found) < expected:
                message = await subscription.next_msg(timeout=60)
                subject = message.subject.removeprefix("kith.").removesuffix(f".{tenant_id}")
                found.append(Event(subject, kinds[subject].FromString(message.data), dict(message.headers or {})))
        reading = opener(service)
        for event in found:
            await reading.open(Incoming(event.subject, tenant_id, event.headers["kith-key"], event.message))
        with pytest.raises(TimeoutError):
            await subscription.next_msg(timeout=0.3)
        await subscription.unsubscribe()
        return found

    return read


def _kinds(service: str) -> dict[str, Any]:
    """Return the event messages of a service by their subject."""
    module = importlib.import_module(f"kith.{service}.v1.events_pb2")
    kinds = map(message_factory.GetMessageClass, module.DESCRIPTOR.message_types_by_name.values())
    return {contract.event(kind).subject: kind for kind in kinds}
