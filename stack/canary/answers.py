"""What comes back from the edge, read whole or for as long as somebody listens."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Self

import httpx
import orjson

LONGEST: Final = 4 * 1024 * 1024
"""Characters of an answer that are looked at: what the canary is rightly shown is far less."""


class UnansweredError(Exception):
    """A call said neither yes nor no; the text is a status and a code, or the type of an error."""

    def __init__(self, why: str, *, retry_after: float = 0.0) -> None:
        super().__init__(why)
        self.retry_after = retry_after


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A status with its text, what it says if it is JSON, and the id by which logs know the request."""

    status: int
    text: str
    said: Any
    request_id: str
    retry_after: float

    @classmethod
    async def read(cls, response: httpx.Response, *, seconds: float | None) -> Self:
        """Read to the end, or for some seconds what has none."""
        text = await _text(response, seconds)
        try:
            said = orjson.loads(text)
        except orjson.JSONDecodeError:
            said = None
        headers = response.headers
        return cls(
            status=response.status_code,
            text=text,
            said=said,
            request_id=headers.get("x-request-id", ""),
            retry_after=float(headers.get("retry-after", 0)),
        )

    @property
    def is_yes(self) -> bool:
        """Say whether the call was granted."""
        return httpx.codes.is_success(self.status)

    @property
    def is_no(self) -> bool:
        """Say whether a service found nothing; a path that the edge does not know is no answer."""
        return self.status == httpx.codes.NOT_FOUND and self._code == "NOT_FOUND"

    def unanswered(self) -> UnansweredError:
        """Return the answer as the error that it is if it is neither."""
        return UnansweredError(f"{self.status} {self._code}".rstrip(), retry_after=self.retry_after)

    @property
    def _code(self) -> str:
        return str(self.said.get("code", "")) if isinstance(self.said, dict) else ""


async def _text(response: httpx.Response, seconds: float | None) -> str:
    pieces: list[str] = []
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            async for piece in response.aiter_text():
                pieces.append(piece)
                if sum(map(len, pieces)) > LONGEST:
                    break
    return "".join(pieces)
