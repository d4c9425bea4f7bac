"""Signed tokens (RFC 7515, compact) in the one form that the platform takes: ES256, canonical, small, three header members.

joserfc makes and checks signatures; what it lets through (other `typ`, twice the same claim, deep payloads) is refused here.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from chassis.errors import Reason, Unauthenticated

ALGORITHM: Final = "ES256"
CURVE: Final = "P-256"
MAX_BYTES: Final = 8 * 1024  # of a whole token; gRPC metadata and HTTP headers end at 16 KiB

_HEADER: Final = frozenset({"alg", "kid", "typ"})
_REGISTRY: Final = jws.JWSRegistry(algorithms=[ALGORITHM])


def invalid(why: str) -> Unauthenticated:
    """Return the refusal of a token; the text names the rule and never the token."""
    return Unauthenticated(Reason.TOKEN_INVALID, f"the token is not valid: {why}")


def sign(claims: Mapping[str, Any], *, kind: str, key: ECKey) -> str:
    """Return the claims as a token of a `typ`, signed with a private key that has a key id."""
    header = {"alg": ALGORITHM, "kid": key.kid, "typ": kind}
    payload = json.dumps(claims, separators=(",", ":"), allow_nan=False).encode()
    return jws.serialize_compact(header, payload, key, registry=_REGISTRY)


def key_id(token: str, *, kind: str) -> str:
    """Return the id of the key that a token says it is signed with, after every check that needs no key."""
    if len(token) > MAX_BYTES:
        raise invalid("it is too long")
    segments = token.split(".")
    if len(segments) != 3 or not token.isascii():
        raise invalid("it has not three parts")
    header, *_ = [_decoded(segment) for segment in segments]
    members = _object(header)
    if members.keys() != _HEADER or members["alg"] != ALGORITHM or members["typ"] != kind or not isinstance(members["kid"], str):
        raise invalid("its header is of another kind")
    return members["kid"]


def claims(token: str, key: ECKey) -> dict[str, Any]:
    """Return the claims of a token whose key id was read, after its signature was checked."""
    try:
        jws.deserialize_compact(token, key, registry=_REGISTRY)
    except JoseError as error:
        raise invalid("its signature does not hold") from error
    return _object(_decoded(token.split(".")[1]))


def _decoded(segment: str) -> bytes:
    """Decode base64url without padding; one value has one spelling, so that a token cannot be rewritten."""
    try:
        raw = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except binascii.Error as error:
        raise invalid("a part is not base64url") from error
    if not segment or base64.urlsafe_b64encode(raw).rstrip(b"=") != segment.encode():
        raise invalid("a part is not canonical base64url")
    return raw


def _object(raw: bytes) -> dict[str, Any]:
    try:
        value = json.loads(raw.decode(), object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise invalid("a part is not JSON") from error
    if not isinstance(value, dict):
        raise invalid("a part is no JSON object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name stands twice")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
