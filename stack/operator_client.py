"""The operator's own connection to NATS; no service has its rights."""

from typing import Final

import nats
from nats.aio.client import Client

from chassis import names
from stack.topology import OPERATOR

CONNECT_SECONDS: Final = 10.0  # a busy machine greets late; who refuses is not waited for


async def connect(url: str) -> Client:
    """Return a connection that tries once; raise OSError or nats.errors.Error."""
    return await nats.connect(
        url, inbox_prefix=names.inbox(OPERATOR), allow_reconnect=False, connect_timeout=CONNECT_SECONDS, error_cb=_silent
    )


async def _silent(_: Exception) -> None:
    """Say nothing: whoever connects hears of a failure by its exception."""
