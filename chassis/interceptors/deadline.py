"""Deadline: no call runs longer than its caller waits and its policy allows."""

import asyncio
from typing import Any, ClassVar

from chassis.errors import DeadlineExceeded, Reason
from chassis.interceptors.chain import Call, Next


class Deadline:
    """Bounds a call by the caller's deadline, the policy's, and a default for who names none."""

    name: ClassVar[str] = "deadline"

    def __init__(self, default: float) -> None:
        self._default = default

    async def __call__(self, call: Call, proceed: Next) -> Any:
        """Return the answer of the rest, or refuse with DEADLINE_EXCEEDED when the time is over."""
        limit = call.method.deadline or self._default
        left = call.context.time_remaining()
        call.request.deadline = asyncio.get_running_loop().time() + (limit if left is None else min(limit, left))
        try:
            async with asyncio.timeout_at(call.request.deadline):
                return await proceed(call)
        except TimeoutError:
            raise DeadlineExceeded(Reason.DEADLINE_EXCEEDED, "the call took longer than it may") from None
