"""How a service is called in its tests: as one person, page by page, and in vain."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from grpc import aio

from chassis.clients.refusals import refusal
from chassis.errors import Refusal
from tests.conftest import Person
from tests.patience import SECONDS


class As:
    """A stub whose calls are made as one person: `await contacts.GetContact(request)`."""

    def __init__(self, stub: Any, person: Person) -> None:
        self._stub = stub
        self._person = person

    def __getattr__(self, method: str) -> Callable[..., aio.UnaryUnaryCall[Any, Any]]:
        call = getattr(self._stub, method)

        def run(request: Any, *metadata: tuple[str, str]) -> aio.UnaryUnaryCall[Any, Any]:
            return call(request, metadata=(*self._person.metadata, *metadata), timeout=SECONDS)

        return run


async def refused(call: Awaitable[object]) -> Refusal:
    """Return why a call is refused; fail if it is not."""
    with pytest.raises(aio.AioRpcError) as failed:
        await call
    return refusal(failed.value, "the service")


async def all_pages(list_page: Callable[[Any], Awaitable[Any]], request: Any, noun: str) -> list[Any]:
    """Return the records of all pages of a list."""
    found: list[Any] = []
    while True:
        page = await list_page(request)
        found += getattr(page, noun)
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token
