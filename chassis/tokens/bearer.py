"""The Authorization header (RFC 6750, section 2.1): exactly one, and a bearer token."""

from collections.abc import Sequence
from typing import Final

from chassis.tokens.jws import invalid

_SCHEME: Final = "bearer "


def bearer(values: Sequence[str]) -> str | None:
    """Return the token of the Authorization values of one call, None if there are none; two are as bad as a wrong one."""
    if not values:
        return None
    if len(values) > 1:
        raise invalid("there are several")
    value = values[0]
    if value[: len(_SCHEME)].lower() != _SCHEME:
        raise invalid("the Authorization header holds no bearer token")
    return value[len(_SCHEME) :]
