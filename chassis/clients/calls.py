"""One RPC to another service: deadline, identity, trace, attempts, and its failure as a refusal."""

import asyncio
import random
from collections.abc import Iterator, Sequence
from time import perf_counter
from typing import Any, Final

import grpc
from grpc import aio

from chassis.clients.breaker import Breaker
from chassis.clients.budget import Budget
from chassis.clients.refusals import refusal
from chassis.context import Request, current
from chassis.contract import Method
from chassis.errors import DeadlineExceeded, Reason
from chassis.telemetry import metrics, tracing
from chassis.tokens.service import ServiceSigner

DEADLINE: Final = 5.0  # seconds, where neither the caller nor the policy says less
MARGIN: Final = 0.05  # seconds of the caller's time that are kept for answering it
FAIR: Final = 0.5  # seconds in which a target that is well answers
ATTEMPTS: Final = 3
FIRST_PAUSE: Final = 0.02  # seconds, doubled

IDEMPOTENCY_KEY: Final = "idempotency-key"
_READS: Final = ("Get", "List", "BatchGet", "Search")
_DOWN: Final = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED})
"""Codes that count against the target; any other is an answer."""

Metadata = Sequence[tuple[str, str | bytes]]

_random: Final = random.Random()  # noqa: S311 - spreads retries


class Upstream:
    """One service that is called: its channel, its breaker, its retry budget."""

    def __init__(self, name: str, channel: aio.Channel) -> None:
        self.name = name
        self.channel = channel
        self.breaker = Breaker(name)
        self.budget = Budget()


class Call:
    """A callable like gRPC's own for one method; `tenant_id` None means the tenant of the call in hand."""

    def __init__(self, method: Method, upstream: Upstream, bare: Any, signer: ServiceSigner, tenant_id: str | None) -> None:
        self._method = method
        self._upstream = upstream
        self._bare = bare
        self._signer = signer
        self._tenant_id = tenant_id
        self._limit = method.deadline or DEADLINE

    async def __call__(self, request: Any, *, timeout: float | None = None, metadata: Metadata = ()) -> Any:  # noqa: ASYNC109 - gRPC's own name
        """Return the answer, or raise the Refusal that the service or the way to it made."""
        in_hand = _in_hand()
        until = _until(min(timeout or self._limit, self._limit), in_hand)
        self._upstream.budget.called()
        pauses = _pauses() if self._repeatable(metadata) else iter(())
        with tracing.call(self._method.full_name) as span:
            said = [*self._said(in_hand), *metadata]
            while True:
                try:
                    return await self._attempt(request, said, until, span)
                except aio.AioRpcError as error:
                    pause = next(pauses, None) if error.code() is grpc.StatusCode.UNAVAILABLE else None
                    if pause is None or _left(until) <= pause or not self._upstream.budget.spend():
                        span.fail(error.code().name)
                        raise refusal(error, self._upstream.name) from error
                metrics.RPC_CLIENT_RETRIES.labels(self._upstream.name).inc()
                await asyncio.sleep(pause)

    async def _attempt(self, request: Any, metadata: Metadata, until: float, span: tracing.Span) -> Any:
        breaker = self._upstream.breaker
        left = _left(until)
        if left <= 0:
            raise DeadlineExceeded(Reason.DEADLINE_EXCEEDED, f"no time is left to ask {self._upstream.name}")
        breaker.check()
        started = perf_counter()
        code = grpc.StatusCode.CANCELLED
        try:
            answer = await self._bare(request, timeout=left, metadata=metadata)
            code = grpc.StatusCode.OK
        except aio.AioRpcError as error:
            code = error.code()
            raise
        else:
            return answer
        finally:
            _count(breaker, code, left)
            metrics.rpc_client_call(self._method.full_name, code.name).observe(perf_counter() - started, span.exemplar)

    def _said(self, in_hand: Request | None) -> Iterator[tuple[str, str | bytes]]:
        tenant_id = self._tenant_id
        if tenant_id is None:
            tenant_id = in_hand.caller.tenant_id if in_hand else ""
        yield "x-kith-service", self._signer.token(self._upstream.name, tenant_id)
        if in_hand:
            yield "x-request-id", in_hand.request_id
            if in_hand.locale:
                yield "accept-language", in_hand.locale
        if traceparent := tracing.traceparent():
            yield "traceparent", traceparent

    def _repeatable(self, metadata: Metadata) -> bool:
        """Say whether doing the call twice is as good as once."""
        return self._method.name.startswith(_READS) or any(key == IDEMPOTENCY_KEY for key, _ in metadata)


def _in_hand() -> Request | None:
    try:
        return current()
    except LookupError:
        return None


def _until(seconds: float, in_hand: Request | None) -> float:
    """Return when the call must have ended, on the event loop's clock: Python passes no deadline on by itself."""
    until = asyncio.get_running_loop().time() + seconds
    if in_hand is None or in_hand.deadline is None:
        return until
    return min(until, in_hand.deadline - MARGIN)


def _left(until: float) -> float:
    return until - asyncio.get_running_loop().time()


def _pauses() -> Iterator[float]:
    return (FIRST_PAUSE * 2**number * _random.uniform(0.5, 1.5) for number in range(ATTEMPTS - 1))


def _count(breaker: Breaker, code: grpc.StatusCode, seconds: float) -> None:
    """Tell the breaker how an attempt ended; one that was given hardly any time says nothing about the target."""
    if code is grpc.StatusCode.CANCELLED or (code is grpc.StatusCode.DEADLINE_EXCEEDED and seconds < FAIR):
        breaker.given_up()
    elif code in _DOWN:
        breaker.failed()
    else:
        breaker.succeeded()
