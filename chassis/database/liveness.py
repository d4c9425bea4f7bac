"""When a connection to PostgreSQL counts as dead, so that nobody waits for an answer that cannot come."""

import select
from typing import Any, Final

from psycopg import AsyncConnection

DEAD_SECONDS: Final = 10

ALIVE: Final[dict[str, Any]] = {
    "tcp_user_timeout": DEAD_SECONDS * 1000,  # for what was sent and nobody confirms
    "keepalives_idle": DEAD_SECONDS,  # for a connection on which nothing is sent; then three probes
    "keepalives_interval": 2,
    "keepalives_count": 3,
}
"""Connection settings of libpq; a socket of the same machine needs none and takes no notice."""


def was_closed(connection: AsyncConnection[Any]) -> bool:
    """Say whether the connection ended, or the server said something while nobody asked: that it ends it. Costs no round trip."""
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))
