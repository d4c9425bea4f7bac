"""A person and a client of the edge that carries their token."""

from dataclasses import dataclass
from typing import Any

import httpx

from tests.conftest import Person


@dataclass(frozen=True)
class SignedIn:
    """Somebody who calls the edge."""

    person: Person
    edge: httpx.AsyncClient

    async def call(self, verb: str, path: str, **options: Any) -> httpx.Response:
        """Send a request whatever comes of it."""
        headers = {**self.person.headers, **options.pop("headers", {})}
        return await self.edge.request(verb, path, headers=headers, **options)

    async def get(self, path: str, **query: Any) -> Any:
        """Get what must be there."""
        return _good(await self.call("GET", path, params=query or None))

    async def post(self, path: str, body: dict[str, Any], **headers: str) -> Any:
        """Post what must be taken."""
        return _good(await self.call("POST", path, json=body, headers=headers))


def _good(answer: httpx.Response) -> Any:
    assert answer.is_success, f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}"
    return answer.json()
