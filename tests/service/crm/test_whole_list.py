"""A whole list of somebody's, through REST: posted, paged in three orders, read in batches, patched, deleted, restored, told."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import httpx
import pytest
from nats.aio.client import Client
from nats.js.api import ConsumerConfig, DeliverPolicy

from chassis import names
from tests.conftest import Person

pytestmark = pytest.mark.full

COMPANIES = 500
CONTACTS = 2_000
AT_ONCE = 16

ORDERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "display_name": lambda contact: contact["displayName"].lower(),
    "create_time": lambda contact: datetime.fromisoformat(contact["createTime"]),
    "update_time": lambda contact: datetime.fromisoformat(contact["updateTime"]),
}
Send = Callable[..., Awaitable[Any]]


@pytest.fixture
def send(edge: httpx.AsyncClient, owner: Person) -> Send:
    """`await send("POST", "/v1/contacts", {...})` returns what a call that must succeed answers."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def call(method: str, path: str, body: Any = None, **query: Any) -> Any:
        async with turns:
            answer = await edge.request(method, path, json=body, params=query or None, headers=owner.headers)
        assert answer.is_success, answer.text
        return answer.json()

    return call


async def paged(send: Send, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        page = await send("GET", "/v1/contacts", pageSize=100, **query)
        found += page["contacts"]
        if not page["nextPageToken"]:
            return found
        query["pageToken"] = page["nextPageToken"]


async def told(nats_admin: Client, tenant_id: str, expected: int) -> list[tuple[str, str, int]]:
    """Return what the stream tells of an organisation: aggregate, step and version, in the stream's order."""
    subscription = await nats_admin.jetstream().subscribe(
        f"kith.crm.*.*.*.{tenant_id}",
        stream=names.stream("crm"),
        config=ConsumerConfig(deliver_policy=DeliverPolicy.ALL),
        ordered_consumer=True,
    )
    found = []
    async with asyncio.timeout(60):
        while len(found) < expected:
            message = await subscription.next_msg(timeout=30)
            headers = message.headers or {}
            found.append((headers["kith-key"], message.subject.split(".")[3], int(headers["kith-version"])))
    with pytest.raises(TimeoutError):
        await subscription.next_msg(timeout=0.5)
    await subscription.unsubscribe()
    return found


async def test_a_whole_list_goes_in_and_comes_out_and_all_of_it_is_told_once(send: Send, owner: Person, nats_admin: Client) -> None:
    companies = await asyncio.gather(*(send("POST", "/v1/companies", {"name": f"Company {number}"}) for number in range(COMPANIES)))
    bodies = [
        {
            "givenName": f"Given {number % 97}",
            "familyName": f"Family {number}",
            "emails": [{"address": f"p{number}@example.com"}],
            "phones": [{"number": f"(555) 123-{number:04}"}],
            "companyId": companies[number % COMPANIES]["id"],
        }
        for number in range(CONTACTS)
    ]
    contacts = await asyncio.gather(*(send("POST", "/v1/contacts", body) for body in bodies))
    ids = [each["id"] for each in contacts]

    for order, key in ORDERS.items():
        listed = await paged(send, orderBy=order)
        assert sorted(each["id"] for each in listed) == sorted(ids)
        keys = [key(each) for each in listed]
        assert keys == sorted(keys), order
    for start in range(0, CONTACTS, 200):
        batch = await send("GET", "/v1/contacts:batchGet", ids=ids[start : start + 200])
        assert [each["id"] for each in batch["contacts"]] == ids[start : start + 200]

    patched, gone = ids[:100], ids[100:150]
    await asyncio.gather(*(send("PATCH", f"/v1/contacts/{each}", {"title": "Boss"}) for each in patched))
    await asyncio.gather(*(send("DELETE", f"/v1/contacts/{each}") for each in gone))
    assert len(await paged(send)) == CONTACTS - len(gone)
    await asyncio.gather(*(send("POST", f"/v1/contacts/{each}:restore", {}) for each in gone))
    assert len(await paged(send)) == CONTACTS

    expected = COMPANIES + CONTACTS + len(patched) + 2 * len(gone)
    lives: dict[str, list[tuple[str, int]]] = {}
    for aggregate, step, version in await told(nats_admin, owner.tenant_id, expected):
        lives.setdefault(aggregate, []).append((step, version))
    assert len(lives) == COMPANIES + CONTACTS
    assert all(lives[each] == [("created", 1), ("updated", 2)] for each in patched)
    assert all(lives[each] == [("created", 1), ("deleted", 2), ("restored", 3)] for each in gone)
    assert all(lives[each] == [("created", 1)] for each in ids[150:])
