"""The isolation canary against an edge that is made up: what counts as a breach, what as an answer, what as neither."""

import json
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY

from stack.canary.organisation import Organisation
from stack.canary.requests import reads, rpc
from stack.canary.rounds import Canary
from stack.contract_check.image import Image
from stack.generate import CONTRACT, ROOT

IMAGE = Image.read(ROOT / "gen" / CONTRACT)
METHODS = [rpc(method) for method in reads(IMAGE)]
KEEPER = "keeper@canary.example"
PATH = re.compile(r"/v1/(?P<noun>\w+)(/(?P<id>[^/:]+))?(?P<more>[/:]\w+)?")
GET_CONTACT = "kith.crm.v1.ContactService/GetContact"
LIST_CONTACTS = "kith.crm.v1.ContactService/ListContacts"

Leak = Callable[[httpx.Request, dict[str, Any]], httpx.Response | None]


class Edge:
    """Two accounts and the keeper's records; `leak` may answer the prober in its own way."""

    def __init__(self) -> None:
        self.accounts: dict[str, str] = {}
        self.records: dict[str, dict[str, Any]] = {}
        self.leak: Leak = lambda _request, _records: None

    async def answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path.startswith("/v1/auth:"):
            return self._auth(path.removeprefix("/v1/auth:"), json.loads(await request.aread()))
        token = request.headers["authorization"].removeprefix("Bearer ")
        if token not in self.accounts.values():
            return httpx.Response(401)
        if token == self.accounts[KEEPER]:
            return self._own(request)
        return self.leak(request, self.records) or self._foreign(request)

    def _auth(self, door: str, body: dict[str, str]) -> httpx.Response:
        if door == "signIn" and body["email"] not in self.accounts:
            return httpx.Response(401)
        if door == "signOut":
            return httpx.Response(200, json={})
        email = body.get("email") or body["refreshToken"]
        self.accounts[email] = f"token {len(self.accounts)} of {email}"
        me = {part: {"id": f"{part}-{email[0]}"} for part in ("tenant", "user")}
        return httpx.Response(200, json={"accessToken": self.accounts[email], "refreshToken": email, "me": me})

    def _own(self, request: httpx.Request) -> httpx.Response:
        asked = PATH.fullmatch(request.url.path)
        assert asked
        if request.method == "GET":
            return httpx.Response(200, json={asked["noun"]: [each for each in self.records.values() if each["noun"] == asked["noun"]]})
        if request.method == "POST" and asked["id"] is None:
            record = {"id": f"id-{len(self.records)}", "noun": asked["noun"], "name": request.content.decode()}
            self.records[record["id"]] = record
            return httpx.Response(200, json=record)
        return httpx.Response(200, json=self.records[asked["id"]])

    def _foreign(self, request: httpx.Request) -> httpx.Response:
        asked = PATH.fullmatch(request.url.path)
        if asked and asked["id"]:
            return httpx.Response(404, json={"code": "NOT_FOUND"})
        return httpx.Response(200, json={"missingIds": request.url.params.get_list("ids")})


@pytest.fixture
def edge() -> Edge:
    return Edge()


@pytest.fixture
async def canary(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Canary]:
    monkeypatch.setattr("stack.canary.rounds.FIRST_PAUSE", 0)
    async with httpx.AsyncClient(transport=httpx.MockTransport(edge.answer), base_url="http://edge") as client:
        two = [Organisation(client, name, "a password") for name in ("keeper", "prober")]
        yield Canary(IMAGE, *two, round_seconds=0.001)


def counted(name: str, method: str) -> float:
    return REGISTRY.get_sample_value(f"kith_isolation_{name}_total", {"rpc_method": method}) or 0.0


class Since:
    """What was counted since then."""

    def __init__(self) -> None:
        self._before = {(name, method): counted(name, method) for name in ("probes", "breaches", "probe_failures") for method in METHODS}

    def __call__(self, name: str) -> dict[str, float]:
        risen = {method: counted(name, method) - self._before[name, method] for method in METHODS}
        return {method: by for method, by in risen.items() if by}


async def test_every_read_is_tried_and_nothing_is_found(canary: Canary) -> None:
    since = Since()
    assert await canary.round()
    assert since("probes").keys() == set(METHODS)
    assert not since("breaches")
    assert not since("probe_failures")


async def test_bait_is_made_once_and_made_again_when_it_is_gone(edge: Edge, canary: Canary) -> None:
    await canary.round()
    made = dict(edge.records)
    assert {record["noun"] for record in made.values()} == {"contacts", "companies", "imports"}
    await canary.round()
    assert edge.records == made
    edge.records = {key: record for key, record in made.items() if record["noun"] != "companies"}
    await canary.round()
    assert [record["noun"] for record in edge.records.values()].count("companies") == 1


def granted(request: httpx.Request, records: dict[str, Any]) -> httpx.Response | None:
    """Grant a contact by its id, without a word about it."""
    asked = PATH.fullmatch(request.url.path)
    return httpx.Response(200, json={}) if asked and asked["noun"] == "contacts" and asked["id"] in records else None


def listed(request: httpx.Request, records: dict[str, Any]) -> httpx.Response | None:
    """List everybody's contacts, the keeper's on the second page."""
    if request.url.path != "/v1/contacts":
        return None
    if "pageToken" not in request.url.params:
        return httpx.Response(200, json={"contacts": [{"id": "a-stranger"}], "nextPageToken": "more"})
    return httpx.Response(200, json={"contacts": [{"id": key} for key in records]})


def batched(request: httpx.Request, _: dict[str, Any]) -> httpx.Response | None:
    """Give records for ids instead of saying that they are missing."""
    if request.url.path != "/v1/contacts:batchGet":
        return None
    return httpx.Response(200, json={"contacts": [{"id": each} for each in request.url.params.get_list("ids")]})


def told(request: httpx.Request, records: dict[str, Any]) -> httpx.Response | None:
    """Tell a change live."""
    if request.url.path != "/v1/events:stream":
        return None
    return httpx.Response(200, text=f"data: {json.dumps({'resource': next(iter(records.values()))})}\n\n")


def refused(request: httpx.Request, records: dict[str, Any]) -> httpx.Response | None:
    """Refuse, and say too much about why."""
    asked = PATH.fullmatch(request.url.path)
    if not asked or asked["noun"] != "companies" or asked["id"] not in records:
        return None
    return httpx.Response(403, json={"code": "PERMISSION_MISSING", "detail": records[asked["id"]]["name"]})


@pytest.mark.parametrize(
    ("leak", "method"),
    [
        (granted, GET_CONTACT),
        (listed, LIST_CONTACTS),
        (batched, "kith.crm.v1.ContactService/BatchGetContacts"),
        (told, "kith.edge.v1.EventService/StreamEvents"),
        (refused, "kith.crm.v1.CompanyService/GetCompany"),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
async def test_what_is_given_away_is_counted_as_a_breach(edge: Edge, canary: Canary, leak: Leak, method: str) -> None:
    since = Since()
    edge.leak = leak
    await canary.round()
    assert since("breaches").keys() == {method}


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(503, json={"code": "UNAVAILABLE"}),
        httpx.Response(404, json={"code": "ROUTE_UNKNOWN"}),
        httpx.Response(400, json={"code": "FIELD_INVALID"}),
    ],
    ids=lambda answer: answer.json()["code"],
)
async def test_what_says_neither_yes_nor_no_is_no_probe(edge: Edge, canary: Canary, answer: httpx.Response) -> None:
    since = Since()
    edge.leak = lambda request, _: answer if request.url.path == "/v1/contacts" else None
    assert not await canary.round()
    assert since("probe_failures") == {LIST_CONTACTS: 1}
    assert LIST_CONTACTS not in since("probes")
    assert not since("breaches")


async def test_a_token_that_ended_is_renewed(edge: Edge, canary: Canary) -> None:
    since = Since()
    await canary.round()
    edge.accounts = {email: f"another {token}" for email, token in edge.accounts.items()}
    assert await canary.round()
    assert not since("probe_failures")


async def test_a_round_without_bait_probes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    since = Since()

    async def away(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("nobody listens")

    async with httpx.AsyncClient(transport=httpx.MockTransport(away), base_url="http://edge") as client:
        two = [Organisation(client, name, "a password") for name in ("keeper", "prober")]
        assert not await Canary(IMAGE, *two, round_seconds=0.001).round()
    assert not since("probes")
