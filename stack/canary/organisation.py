"""One of the canary's two organisations: a client of the edge like any other, with an owner who is signed in."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Final

import httpx

from stack.canary.answers import Answer, UnansweredError
from stack.canary.requests import Json

DOMAIN: Final = "canary.example"
"""`.example` names no host (RFC 2606), so no mail ever reaches anybody."""
CALL_SECONDS: Final = 10.0
LISTEN_SECONDS: Final = 2.0
"""Many times what a change takes to a live stream."""

Meanwhile = Callable[[], Awaitable[object]]


class Organisation:
    """Made at the first call, found again by its email and password later."""

    def __init__(self, edge: httpx.AsyncClient, name: str, password: str) -> None:
        self._edge = edge
        self._name = name
        self._credentials = {"email": f"{name}@{DOMAIN}", "password": password}
        self._session: Json = {}

    @property
    def me(self) -> Json:
        """Return the organisation and its owner as the edge shows them; to be asked after the first call."""
        me: Json = self._session["me"]
        return me

    async def call(self, verb: str, path: str, *, meanwhile: Meanwhile | None = None, **options: Any) -> Answer:
        """Send a request as the owner; raise UnansweredError when nothing comes back.

        With `meanwhile` the answer is one without an end: once it began, that is done, and what is then heard within seconds is returned.
        """
        if not self._session:
            await self._sign_in()
        answer = await self._send(verb, path, meanwhile, **options)
        if answer.status == httpx.codes.UNAUTHORIZED:
            await self._renew()
            answer = await self._send(verb, path, meanwhile, **options)
        return answer

    async def ask(self, verb: str, path: str, **options: Any) -> Json:
        """Send what must be granted; raise UnansweredError if it is not."""
        return _granted(await self.call(verb, path, **options))

    async def leave(self) -> None:
        """Sign out, if there is anybody to say it to."""
        if self._session:
            with suppress(UnansweredError):
                await self._post("/v1/auth:signOut", {"refreshToken": self._session["refreshToken"]})

    async def _renew(self) -> None:
        """Go on with the session; begin another one if it ended."""
        answer = await self._post("/v1/auth:refresh", {"refreshToken": self._session["refreshToken"]})
        if answer.is_yes:
            self._session |= _granted(answer)
        else:
            await self._sign_in()

    async def _sign_in(self) -> None:
        answer = await self._post("/v1/auth:signIn", self._credentials)
        if answer.status == httpx.codes.UNAUTHORIZED:
            name = f"Isolation canary, {self._name}"
            answer = await self._post("/v1/auth:register", {**self._credentials, "organisation": name, "name": name})
        self._session = _granted(answer)

    async def _post(self, path: str, body: Mapping[str, str]) -> Answer:
        return await self._send("POST", path, None, json=body)

    async def _send(self, verb: str, path: str, meanwhile: Meanwhile | None, **options: Any) -> Answer:
        token = self._session.get("accessToken")
        headers = {**options.pop("headers", {}), **({"authorization": f"Bearer {token}"} if token else {})}
        try:
            async with asyncio.timeout(CALL_SECONDS), self._edge.stream(verb, path, headers=headers, **options) as response:
                if meanwhile and response.is_success:
                    await meanwhile()
                    return await Answer.read(response, seconds=LISTEN_SECONDS)
                return await Answer.read(response, seconds=None)
        except (httpx.HTTPError, TimeoutError) as error:
            raise UnansweredError(type(error).__name__) from None


def _granted(answer: Answer) -> Json:
    if not answer.is_yes or not isinstance(answer.said, dict):
        raise answer.unanswered()
    return answer.said
