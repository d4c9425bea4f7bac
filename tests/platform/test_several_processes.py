"""Two edges and two processes of crm do the work of one: limits, idempotency keys, etags and the order of events hold."""

import asyncio
import json
import re
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Final

import httpx
import psycopg
import pytest
from nats.js.api import AckPolicy, ConsumerConfig

from chassis import names
from stack.operator_client import connect
from stack.topology import OPERATOR, admin
from tests import patience, running
from tests.chaos.shaken import Shaken
from tests.unit.chassis.moving import eventually

MANY: Final = {"principal": {"count": 1_000_000, "burst": 100_000}}
RATE: Final = 10  # reads a second
BURST: Final = 10
REGISTRATION: Final = {"organisation": "Several", "password": "Zk7-Vermilion-8Lq-Otter", "name": "Owner", "region": "GB"}
CALLS: Final = re.compile(
    r"^(?:rpc_server_call|http_server_request)_duration_seconds_count\{[^}]*(?:ContactService|/v1/contacts)[^}]*\} (\S+)", re.M
)


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shaken]:
    """A platform with two edges and two processes of crm; reads are limited, nothing else is."""
    platform = Shaken(tmp_path_factory.mktemp("several"))
    limits = dict.fromkeys(("ANON", "AUTH", "WRITE"), MANY)
    reads = {"READ": {"principal": {"count": RATE, "seconds": 1, "burst": BURST}}}
    of_its_own = {"KITH_PROCESSES": json.dumps({"edge": 2, "crm": 2}), "KITH_RATE_SCALE": "1"}
    platform.up(**running.PATIENT, **of_its_own, KITH_RATE_LIMITS=json.dumps({**limits, **reads}))
    yield platform
    platform.down()


@pytest.fixture
async def owner(several: Shaken) -> AsyncIterator[httpx.AsyncClient]:
    """The owner of an organisation, who keeps no connection: each request may meet another edge."""
    async with patience.client(f"http://{several.wiring.address('edge')}", keeps=0) as client:
        answer = await client.post("/v1/auth:register", json={**REGISTRATION, "email": f"{uuid.uuid4().hex}@example.com"})
        assert answer.is_success, answer.text
        client.headers["authorization"] = f"Bearer {answer.json()['accessToken']}"
        yield client


async def test_both_processes_of_each_kind_are_asked(several: Shaken, owner: httpx.AsyncClient) -> None:
    """An edge is ready when one process of a service is; the other is asked from the moment that it can be reached."""

    async def all_were() -> bool:
        await asyncio.gather(*(owner.post("/v1/contacts", json={"givenName": "Somebody"}) for _ in range(60)))
        return all([await _calls(several, name) > 0 for name in ("edge", "edge-2", "crm", "crm-2")])

    await eventually(all_were, pause=0.2)


async def test_a_key_that_comes_to_all_at_once_is_done_once(several: Shaken, owner: httpx.AsyncClient) -> None:
    key = {"idempotency-key": str(uuid.uuid4())}
    answers = await asyncio.gather(*(owner.post("/v1/contacts", json={"givenName": "Once"}, headers=key) for _ in range(30)))
    made = {answer.json()["id"] for answer in answers if answer.is_success}
    refused = {answer.json()["code"] for answer in answers if not answer.is_success}
    assert len(made) == 1
    assert refused <= {"IDEMPOTENCY_IN_PROGRESS"}
    again = await owner.post("/v1/contacts", json={"givenName": "Once"}, headers=key)
    assert (again.json()["id"], again.headers["idempotency-replayed"]) == (made.pop(), "true")
    async with await psycopg.AsyncConnection.connect(several.database("crm")) as connection:
        found = await connection.execute("SELECT count(*) FROM contacts WHERE given_name = 'Once'")
        assert await found.fetchone() == (1,)


async def test_of_those_who_saw_the_same_version_one_changes_it(owner: httpx.AsyncClient) -> None:
    made = (await owner.post("/v1/contacts", json={"givenName": "Somebody"})).json()
    path, seen = f"/v1/contacts/{made['id']}", {"if-match": made["etag"]}
    answers = await asyncio.gather(*(owner.patch(path, json={"title": f"Title {number}"}, headers=seen) for number in range(20)))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 412: 19}


async def test_events_of_one_record_stand_in_its_order(several: Shaken, owner: httpx.AsyncClient) -> None:
    made = [(await owner.post("/v1/contacts", json={"givenName": "Somebody"})).json()["id"] for _ in range(5)]
    changes = [owner.patch(f"/v1/contacts/{each}", json={"title": f"Title {number}"}) for number in range(20) for each in made]
    assert {answer.status_code for answer in await asyncio.gather(*changes)} == {200}
    versions: dict[str, list[int]] = {}

    async def whole() -> bool:
        versions.clear()
        for key, version in await _events(several):
            versions.setdefault(key, []).append(version)
        return all(len(versions.get(each, ())) == 21 for each in made)

    await eventually(whole, pause=0.2)
    assert all(versions[each] == list(range(1, 22)) for each in made)


async def test_a_limit_is_one_for_all_edges(owner: httpx.AsyncClient) -> None:
    """Two edges that did not know of each other would let through twice the rate. On a slow machine they tell each other late."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    taken = 0
    while (lasted := loop.time() - began) < 6:
        answers = await asyncio.gather(*(owner.get("/v1/contacts") for _ in range(4)))
        assert {answer.status_code for answer in answers} <= {200, 429}
        taken += sum(answer.status_code == 200 for answer in answers)
        await asyncio.sleep(0.05)
    assert taken <= 2 * BURST + RATE * lasted * 1.5


async def _calls(several: Shaken, name: str) -> float:
    """Return how many calls and requests for contacts a process answered."""
    async with httpx.AsyncClient(timeout=patience.SECONDS) as client:
        metrics = (await client.get(f"http://{several.wiring.address(admin(name))}/metrics")).text
    return sum(float(count) for count in CALLS.findall(metrics))


async def _events(several: Shaken) -> list[tuple[str, int]]:
    """Return key and version of every event of crm, in the stream's order."""
    async with await connect(several.wiring.nats_url(OPERATOR)) as nats:
        jetstream = nats.jetstream()
        stream = names.stream("crm")
        count = (await jetstream.stream_info(stream)).state.messages
        reading = ConsumerConfig(ack_policy=AckPolicy.NONE, inactive_threshold=patience.SECONDS)
        subscription = await jetstream.pull_subscribe(names.subjects("crm"), stream=stream, config=reading)
        messages = await subscription.fetch(count, patience.SECONDS)
        return [(each.headers["kith-key"], int(each.headers["kith-version"])) for each in messages if each.headers]
