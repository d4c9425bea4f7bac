"""A Kith as its users reach it: who signs in where, and calls that wait when they are asked to."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import httpx
import typer

from stack.demo.account import Demo
from stack.layout import Layout
from stack.state import State
from stack.terminal import settings_of, stop_with, tell

URL: Final = "KITH_URL"
TOKEN: Final = "KITH_TOKEN"
PASSWORD: Final = "KITH_PASSWORD"
SECONDS: Final = 60.0
ATTEMPTS: Final = 6
WORTH_TELLING: Final = 2.0  # seconds
LONGEST_PAUSE: Final = 30.0
_BUSY: Final = frozenset({httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE})

Url = Annotated[str, typer.Option("--url", envvar=URL, help="Address of a Kith; the one that runs on this machine when it is not named.")]
Email = Annotated[
    str, typer.Option("--email", help=f"Who signs in, with the password in {PASSWORD} or typed; a token in {TOKEN} needs none.")
]


class RefusedError(Exception):
    """A call was refused; the text is for people."""


@dataclass(frozen=True)
class Credentials:
    """What signs in: an email with its password, or a token that somebody has already."""

    email: str = ""
    password: str = ""
    token: str = ""


class Remote:
    """Calls as one user. A token that expired on the way is renewed where there is a password."""

    def __init__(self, client: httpx.AsyncClient, credentials: Credentials) -> None:
        self._client = client
        self._credentials = credentials
        self._token = credentials.token

    async def sign_in(self) -> None:
        """Get a token."""
        body = {"email": self._credentials.email, "password": self._credentials.password}
        answer = await self._patiently("POST", "/v1/auth:signIn", json=body)
        self._token = str(_said(answer)["accessToken"])

    async def call(self, verb: str, path: str, **how: Any) -> Any:
        """Return what a call answers with. Raises RefusedError."""
        answer = await self._patiently(verb, path, **how)
        if answer.status_code == httpx.codes.UNAUTHORIZED and self._credentials.password:
            await self.sign_in()
            answer = await self._patiently(verb, path, **how)
        return _said(answer)

    @asynccontextmanager
    async def download(self, path: str, **query: str) -> AsyncIterator[httpx.Response]:
        """Open an answer that is a file. Raises RefusedError, also when it breaks off."""
        asked = {name: value for name, value in query.items() if value}

        async def ask() -> httpx.Response:
            request = self._client.build_request("GET", path, params=asked, headers=self._headers())
            return await self._client.send(request, stream=True)

        try:
            async with aclosing(await _when_free(ask)) as answer:
                if not answer.is_success:
                    await answer.aread()
                    _said(answer)
                yield answer
        except httpx.TransportError as error:
            raise RefusedError(f"the transfer broke off ({type(error).__name__}); nothing of it was kept") from None

    async def upload(self, path: str, content: Callable[[], AsyncIterator[bytes]], **query: str) -> Any:
        """Send a file as it is read; `content` begins anew when the other side was busy. Raises RefusedError."""
        headers = {**self._headers(), "content-type": "text/csv"}
        try:
            answer = await _when_free(lambda: self._client.post(path, params=query, content=content(), headers=headers, timeout=None))
        except httpx.TransportError as error:
            raise RefusedError(f"the file could not be sent ({type(error).__name__})") from None
        return _said(answer)

    async def _patiently(self, verb: str, path: str, *, key: str = "", **how: Any) -> httpx.Response:
        """Call again while the other side is busy or away; a write carries its idempotency key each time."""
        named = {"idempotency-key": key} if key else {}
        for attempt in range(1, ATTEMPTS):
            try:
                return await _when_free(lambda: self._client.request(verb, path, **how, headers={**self._headers(), **named}))
            except httpx.TransportError:
                await asyncio.sleep(min(LONGEST_PAUSE, 0.25 * 2**attempt))
        raise RefusedError(f"{self._client.base_url} cannot be reached")

    def _headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self._token}"} if self._token else {}


async def _when_free(ask: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
    """Return the answer, or the last one of a side that stays busy; wait in between for as long as it says."""
    for _ in range(ATTEMPTS):
        answer = await ask()
        if answer.status_code not in _BUSY:
            return answer
        await answer.aread()
        pause = min(LONGEST_PAUSE, float(answer.headers.get("retry-after", 1)))
        if pause >= WORTH_TELLING:
            tell(f"Kith asks to wait for {pause:.0f} s.")
        await asyncio.sleep(pause)
    return await ask()


def _said(answer: httpx.Response) -> Any:
    if answer.is_success:
        return answer.json()
    try:
        problem = answer.json()
    except ValueError:
        raise RefusedError(f"{answer.request.url} answered {answer.status_code}") from None
    wrong = "; ".join(f"{each['field']}: {each['description']}" for each in problem.get("fields", ()))
    raise RefusedError(f"{wrong or problem.get('detail')} ({problem.get('code')})")


@asynccontextmanager
async def reached(data: Path | None, url: str, email: str) -> AsyncIterator[Remote]:
    """Sign in and yield the way to a Kith; end the command if it is not said which, or as whom."""
    address, credentials = _whom(data, url, email)
    async with httpx.AsyncClient(base_url=address, timeout=SECONDS) as client:
        remote = Remote(client, credentials)
        if not credentials.token:
            await remote.sign_in()
        yield remote


def _whom(data: Path | None, url: str, email: str) -> tuple[str, Credentials]:
    layout = Layout(settings_of(data).data)
    state = State.load(layout.state)
    if not url and state is None:
        stop_with("no platform runs here; start it with `kith up`, or name another one with --url")
    address = url or (state.url if state else "")
    if token := os.environ.get(TOKEN):
        return address, Credentials(token=token)
    if email:
        return address, Credentials(email, os.environ.get(PASSWORD) or typer.prompt("Password", hide_input=True, err=True))
    demo = None if url else Demo.load(layout.demo)
    if demo is None:
        stop_with(f"say who signs in: --email, or a token in {TOKEN}")
    return address, Credentials(demo.members[0].email, demo.password)
