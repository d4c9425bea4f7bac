"""What tests of resets and of changes of passwords have in common."""

from chassis.errors import Code, Refusal

HOUR = 3600.0
NEXT = "another horse with a wet battery"
ENDED = "SELECT payload FROM outbox WHERE tenant_id = %s AND subject LIKE 'kith.identity.session.ended.%%' ORDER BY seq"
LATER = "UPDATE attempts SET last_time = last_time + make_interval(secs => %s) WHERE key = %s RETURNING failures"
"""On a slow machine a wait of one second would be over, so counts are made an hour younger."""


def is_worthless(refusal: Refusal) -> bool:
    """Say whether a token was refused in the one way."""
    return (refusal.code, refusal.reason, [each.field for each in refusal.fields]) == (Code.INVALID_ARGUMENT, "RESET_INVALID", ["token"])
