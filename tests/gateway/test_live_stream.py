"""Live changes through the edge: the one organisation's, in order, each once, and nobody else's."""

import asyncio
import json

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.conftest import Join, Person, Register
from tests.gateway.live import DEADLINE, events, make, messages, said, ticket


@pytest.fixture
async def owner(register: Register) -> Person:
    return await register()


async def test_a_change_is_seen_by_every_reader_in_order(edge: httpx.AsyncClient, owner: Person) -> None:
    async with events(edge, owner.headers) as reader, messages(edge, owner.headers) as socket:
        made = await make(edge, owner.headers, "Live")
        changed = await edge.patch(f"/v1/contacts/{made['id']}", json={"title": "Pilot"}, headers=owner.headers)
        await edge.delete(f"/v1/contacts/{made['id']}", headers=owner.headers)
        seen = [await reader.next() for _ in range(3)]
        assert [each["data"]["type"] for each in seen] == [f"crm.contact.{what}.v1" for what in ("created", "updated", "deleted")]
        assert [each["data"] for each in seen] == [await said(socket) for _ in range(3)]
    first, second, _ = (each["data"] for each in seen)
    assert seen[0]["id"] == first["id"]
    assert first["resource"] == {"@type": "type.googleapis.com/kith.crm.v1.Contact", **made}
    assert (second["resource"]["title"], second["changed"]) == ("Pilot", "title")
    assert second["resource"] == {"@type": first["resource"]["@type"], **changed.json()}
    assert first["time"].endswith("Z")


async def test_json_lines(edge: httpx.AsyncClient, owner: Person) -> None:
    headers = owner.headers | {"accept": "application/jsonl"}
    async with edge.stream("GET", "/v1/events:stream", headers=headers) as answer:
        lines = answer.aiter_lines()
        assert json.loads(await anext(lines))["type"] == "ready"
        made = await make(edge, owner.headers, "Line")
        async with asyncio.timeout(DEADLINE):
            assert json.loads(await anext(lines))["resource"]["id"] == made["id"]


async def test_a_reader_that_comes_back_misses_nothing_and_gets_nothing_twice(edge: httpx.AsyncClient, owner: Person) -> None:
    async with events(edge, owner.headers) as reader:
        await make(edge, owner.headers, "Seen")
        last = (await reader.next())["id"]
    away = [(await make(edge, owner.headers, f"Away {number}"))["id"] for number in range(5)]
    async with (
        events(edge, owner.headers | {"last-event-id": last}) as reader,
        messages(edge, owner.headers, last_event_id=last) as socket,
    ):
        back = [(await make(edge, owner.headers, f"Back {number}"))["id"] for number in range(2)]
        caught_up = [await reader.data() for _ in range(7)]
        assert [each["resource"]["id"] for each in caught_up] == away + back
        assert [await said(socket) for _ in range(7)] == caught_up
    async with events(edge, owner.headers | {"last-event-id": caught_up[3]["id"]}) as reader:
        assert [await reader.data() for _ in range(3)] == caught_up[4:]


async def test_the_first_event_is_a_place_to_come_back_to(edge: httpx.AsyncClient, owner: Person) -> None:
    async with events(edge, owner.headers) as reader:
        place = reader.begin
    made = await make(edge, owner.headers, "Away")
    async with events(edge, owner.headers, last_event_id=place) as reader:
        assert reader.begin == place
        assert (await reader.data())["resource"]["id"] == made["id"]


async def test_who_may_not_read_contacts_sees_none(edge: httpx.AsyncClient, owner: Person, join: Join) -> None:
    reading, blind = await join(owner, "read_only"), await join(owner, "billing")
    async with events(edge, owner.headers) as began:
        place = began.begin
    past = await make(edge, owner.headers, "Past")
    later = {"last_event_id": place}
    async with events(edge, reading.headers, **later) as sees, events(edge, blind.headers, **later) as sees_nothing:
        present = await make(edge, owner.headers, "Present")
        assert [(await sees.data())["resource"]["id"] for _ in range(2)] == [past["id"], present["id"]]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(sees_nothing.next(), 0.5)


async def test_another_organisation_sees_nothing(edge: httpx.AsyncClient, owner: Person, register: Register) -> None:
    stranger = await register()
    async with events(edge, stranger.headers) as reader, messages(edge, stranger.headers) as socket:
        await make(edge, owner.headers, "Mine")
        own = await make(edge, stranger.headers, "Theirs")
        assert (await reader.data())["resource"]["id"] == own["id"]
        assert (await said(socket))["resource"]["id"] == own["id"]


async def test_an_id_of_another_organisation_is_none(edge: httpx.AsyncClient, owner: Person, register: Register) -> None:
    async with events(edge, owner.headers) as reader:
        await make(edge, owner.headers, "Mine")
        last = (await reader.next())["id"]
    stranger = await register()
    for wrong in (last, "nonsense", f"{last[:-1]}_", "\N{LATIN SMALL LETTER E WITH ACUTE}"):
        answer = await edge.get("/v1/events:stream", params={"lastEventId": wrong}, headers=stranger.headers)
        assert (answer.status_code, answer.json()["code"]) == (400, "FIELD_INVALID")


async def test_a_ticket_opens_one_stream(edge: httpx.AsyncClient, owner: Person) -> None:
    once = await ticket(edge, owner.headers)
    async with events(edge, {}, ticket=once) as reader, messages(edge, {}, ticket=await ticket(edge, owner.headers)) as socket:
        made = await make(edge, owner.headers, "Ticket")
        assert (await reader.data())["resource"]["id"] == made["id"]
        assert (await said(socket))["resource"]["id"] == made["id"]
        again = await edge.get("/v1/events:stream", params={"ticket": once})
        assert (again.status_code, again.json()["code"]) == (401, "TOKEN_INVALID")
        with pytest.raises(InvalidStatus) as refused:
            async with messages(edge, {}, ticket=once):
                pass
    assert refused.value.response.status_code == 401
    assert json.loads(refused.value.response.body)["code"] == "TOKEN_INVALID"


@pytest.mark.parametrize("wrong", ["nonsense", ""])
async def test_without_a_token_or_a_ticket_nothing_opens(edge: httpx.AsyncClient, wrong: str) -> None:
    assert (await edge.get("/v1/events:stream", params={"ticket": wrong})).status_code == 401
    assert (await edge.post("/v1/events:ticket", json={})).status_code == 401


async def test_a_path_without_a_stream_takes_no_socket(edge: httpx.AsyncClient, owner: Person) -> None:
    for path, status in (("/v1/me", 400), ("/v1/nothing", 404), ("/livez", 200)):
        answer = await edge.get(path, headers=owner.headers | UPGRADE)
        assert answer.status_code == status


UPGRADE = {
    "connection": "upgrade",
    "upgrade": "websocket",
    "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
    "sec-websocket-version": "13",
}


async def test_signing_out_ends_the_streams_of_the_session(edge: httpx.AsyncClient, owner: Person) -> None:
    async with (
        events(edge, owner.headers) as reader,
        events(edge, {}, ticket=await ticket(edge, owner.headers)) as by_ticket,
        messages(edge, owner.headers) as socket,
    ):
        later = await ticket(edge, owner.headers)
        answer = await edge.post("/v1/auth:signOut", json={"refreshToken": owner.session["refreshToken"]}, headers=owner.headers)
        assert answer.status_code == 200, answer.text
        for each in (reader, by_ticket):
            last = await each.next()
            assert (last["event"], last["data"]["code"]) == ("error", "TOKEN_INVALID")
            with pytest.raises(EOFError):
                await each.next()
        assert (await said(socket))["error"]["code"] == "TOKEN_INVALID"
        with pytest.raises(ConnectionClosed) as closed:
            await said(socket)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008
    assert (await edge.get("/v1/events:stream", params={"ticket": later})).status_code == 401
