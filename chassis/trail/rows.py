"""Rows of the audit log as the bytes that are hashed: every column, as PostgreSQL sends it, so that nothing of a row can change unseen.

What is personal is masked in the trail, and what would be sealed is hashed as it is stored: no erasure touches a leaf.
"""

import struct
from typing import Final

from chassis.database.decoding import Found
from chassis.trail import tree

COLUMNS: Final = (
    "tenant_id, id, at, actor_kind, actor_id, session_id, method, action, resource_id, version, changed, before, after, "
    "request_id, client_ip, user_agent, xid8send(xid)"
)
"""Tenant and id come first. Another column would give other leaves: a batch then has to say which form its leaves have."""

ID_BYTES: Final = 16
KEY_BYTES: Final = 2 * ID_BYTES

_length = struct.Struct(">i").pack
_NULL: Final = _length(-1)


def leaves(found: Found) -> dict[bytes, bytes]:
    """Return the leaf of each row by its key, which is tenant and id. Values have their length before them, NULL has -1."""
    get, places = found.get, range(len(found.columns.names))
    made: dict[bytes, bytes] = {}
    for number in range(found.size):
        pieces: list[bytes] = []
        for place in places:
            value = get(number, place)
            if value is None:
                pieces.append(_NULL)
            else:
                pieces += (_length(len(value)), value)
        made[pieces[1] + pieces[3]] = tree.leaf(b"".join(pieces))
    return made
