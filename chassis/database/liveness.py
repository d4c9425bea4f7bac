"""When a connection to PostgreSQL counts as dead, so that nobody waits for an answer that cannot come."""

from typing import Any, Final

DEAD_SECONDS: Final = 10

ALIVE: Final[dict[str, Any]] = {
    "connect_timeout": DEAD_SECONDS,
    "tcp_user_timeout": DEAD_SECONDS * 1000,  # for what was sent and nobody confirms
    "keepalives_idle": DEAD_SECONDS,  # for a connection on which nothing is sent; then three probes
    "keepalives_interval": 2,
    "keepalives_count": 3,
}
"""Connection settings of libpq; a socket of the same machine takes no notice of those of TCP."""
