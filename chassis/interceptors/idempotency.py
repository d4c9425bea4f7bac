"""Idempotency: a key makes a write happen once; a write that met another one is repeated."""

import hmac
import re
from typing import Any, ClassVar, Final

import stamina

from chassis.context import IdempotencyKey
from chassis.database import failures
from chassis.database.replays import Replay
from chassis.errors import InvalidArgument, Reason, Violation
from chassis.interceptors.chain import Call, Next
from chassis.telemetry import metrics
from kith.options.v1 import options_pb2

HEADER: Final = "idempotency-key"
REPLAYED: Final = "idempotency-replayed"
ATTEMPTS: Final = 4  # of a call whose transaction met another one (deadlock or serialization failure)

_FORM: Final = re.compile(r"[\x21-\x7e]{1,255}")


class Idempotency:
    """Hands the key to the unit of work, which answers a repeated one from its record.

    Requests are compared by a digest that only processes of the service can make: beside a stolen record, nobody can try what was in one.
    """

    name: ClassVar[str] = "idempotency"

    def __init__(self, digest_key: bytes) -> None:
        self._digest_key = digest_key

    async def __call__(self, call: Call, proceed: Next) -> Any:
        """Return the answer, the first one if the key was used before for the same request."""
        call.request.idempotency = self._key(call)
        try:
            return await _again_when_it_met_another(call, proceed)
        except Replay as replay:
            metrics.REPLAYS.inc()
            call.context.set_trailing_metadata(((REPLAYED, "true"),))
            return replay.response

    def _key(self, call: Call) -> IdempotencyKey | None:
        key = _given(call)
        if key is None or call.message is None:
            return None
        said = call.message.SerializeToString(deterministic=True)
        return IdempotencyKey(key=key, request_hash=hmac.digest(self._digest_key, said, "sha256"))


async def _again_when_it_met_another(call: Call, proceed: Next) -> Any:
    """Run the handler; run it again when the database rolled it back for the sake of another one.

    A handler is one unit of work and changes nothing outside of it, so running it again is safe; a stream is not. The first try costs
    nothing that is for the others.
    """
    try:
        return await proceed(call)
    except failures.REPEATABLE:
        if call.message is None or call.method.server_streaming:
            raise
    attempts = stamina.retry_context(on=failures.REPEATABLE, attempts=ATTEMPTS - 1, wait_initial=0.01, wait_max=0.2, wait_jitter=0.05)
    async for attempt in attempts:
        with attempt:
            return await proceed(call)
    raise AssertionError("the last attempt raises")


def _given(call: Call) -> str | None:
    """Return the key that came with a call which takes one; refuse one that is none, and a call without the one that it needs."""
    wanted = call.method.idempotency
    if wanted == options_pb2.IDEMPOTENCY_UNSPECIFIED or call.message is None:
        return None
    key = call.metadata.get(HEADER)
    if key is None:
        if wanted == options_pb2.IDEMPOTENCY_REQUIRED:
            raise InvalidArgument(Reason.IDEMPOTENCY_KEY_MISSING, "this call needs an Idempotency-Key")
        return None
    if not _FORM.fullmatch(key):
        violation = Violation(HEADER, "must be 1 to 255 visible ASCII characters")
        raise InvalidArgument(Reason.FIELD_INVALID, f"{HEADER}: {violation.description}", fields=[violation])
    return key
