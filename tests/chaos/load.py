"""A mixed load whose every answer is written down: each writer keeps an organisation and repeats a request until it is answered."""

import asyncio
import random
import uuid
from collections import Counter
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final

import httpx

PAUSE: Final = 0.1
ANSWER_SECONDS: Final = 10.0
TOKEN_SECONDS: Final = 300.0  # half the life of an access token
AUTH: Final = "/v1/auth:"
COME_AGAIN: Final = frozenset({"UNAVAILABLE", "OVERLOADED", "DEADLINE_EXCEEDED", "IDEMPOTENCY_IN_PROGRESS", "HASHING_BUSY"})
"""Reasons with which a request may be refused for now; any other answer is one for good."""


@dataclass
class Kept:
    """What the answers said of one contact."""

    id: str
    name: str
    version: int = 1
    deleted: bool = False


@dataclass
class Writer:
    """The owner of one organisation, who creates, changes and deletes contacts one after the other."""

    edge: httpx.AsyncClient
    dice: random.Random
    account: dict[str, str] = field(
        default_factory=lambda: {"email": f"owner-{uuid.uuid4().hex}@example.com", "password": uuid.uuid4().hex}
    )
    tenant_id: str = ""
    contacts: list[Kept] = field(default_factory=list)
    answered: int = 0
    put_off: Counter[str] = field(default_factory=Counter)
    _token: str = ""
    _since: float = 0

    async def register(self) -> None:
        """Register an organisation; one whose answer was lost is signed in to."""
        body = {"organisation": "Shaken", "name": "Test Owner", "region": "GB", **self.account}
        answer = await self.insist("POST", "/v1/auth:register", json=body)
        if answer.status_code == httpx.codes.CONFLICT:
            await self._sign_in()
        else:
            self._enter(good(answer))

    @property
    def token(self) -> str:
        """The owner's access token."""
        return self._token

    async def _sign_in(self) -> None:
        self._token = ""
        self._enter(good(await self.insist("POST", "/v1/auth:signIn", json=self.account)))

    def _enter(self, session: dict[str, Any]) -> None:
        self.tenant_id, self._token, self._since = session["me"]["tenant"]["id"], session["accessToken"], monotonic()

    async def write_until(self, stopping: asyncio.Event) -> None:
        """Write one thing after the other."""
        while not stopping.is_set():
            living = [each for each in self.contacts if not each.deleted]
            if living and self.dice.random() < 0.6:
                await self.dice.choice([self._change, self._change, self._delete])(self.dice.choice(living))
            else:
                await self._create()

    async def listed(self) -> dict[str, tuple[str, str]]:
        """Return name and etag of every contact that the edge lists."""
        found: dict[str, tuple[str, str]] = {}
        query = {"pageSize": "200"}
        while True:
            page = good(await self.insist("GET", "/v1/contacts", params=query))
            found |= {each["id"]: (each["givenName"], each["etag"]) for each in page.get("contacts", [])}
            if not page.get("nextPageToken"):
                return found
            query["pageToken"] = page["nextPageToken"]

    def expected(self) -> dict[str, tuple[str, str]]:
        """Return what the list must be by the answers."""
        return {each.id: (each.name, f'"{each.version}"') for each in self.contacts if not each.deleted}

    async def _create(self) -> None:
        name = uuid.uuid4().hex
        said = good(await self.insist("POST", "/v1/contacts", json={"givenName": name}))
        self.contacts.append(Kept(said["id"], name))

    async def _change(self, contact: Kept) -> None:
        name = uuid.uuid4().hex
        said = good(await self.insist("PATCH", f"/v1/contacts/{contact.id}", json={"givenName": name}))
        contact.name, contact.version = name, contact.version + 1
        assert said["etag"] == f'"{contact.version}"'

    async def _delete(self, contact: Kept) -> None:
        good(await self.insist("DELETE", f"/v1/contacts/{contact.id}"))
        contact.deleted, contact.version = True, contact.version + 1

    async def insist(self, verb: str, path: str, **options: Any) -> httpx.Response:
        """Send a request with one idempotency key until it is answered for good."""
        key = uuid.uuid4().hex
        while True:
            if self._token and monotonic() - self._since > TOKEN_SECONDS and not path.startswith(AUTH):
                await self._sign_in()
            bearer = {"authorization": f"Bearer {self._token}"} if self._token else {}
            answer = await self._try(verb, path, headers={"idempotency-key": key, **bearer}, **options)
            if answer is not None:
                self.answered += 1
                return answer
            await asyncio.sleep(PAUSE)

    async def _try(self, verb: str, path: str, **options: Any) -> httpx.Response | None:
        try:
            answer = await self.edge.request(verb, path, timeout=ANSWER_SECONDS, **options)
        except httpx.TransportError as error:
            self.put_off[type(error).__name__] += 1
            return None
        reason = "" if answer.is_success else answer.json()["code"]
        if reason not in COME_AGAIN:
            return answer
        assert "retry-after" in answer.headers or answer.status_code == httpx.codes.GATEWAY_TIMEOUT, answer.text
        self.put_off[reason] += 1
        return None


def good(answer: httpx.Response) -> Any:
    """Return what an answer says; fail when it is a refusal."""
    assert answer.is_success, f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}"
    return answer.json() if answer.content else {}
