"""What an access token says: one list of claims that identity signs and everybody else reads."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

from chassis import ids
from chassis.tokens import permissions
from chassis.tokens.jws import invalid

KIND: Final = "at+jwt"  # RFC 9068, section 2.1
AUDIENCE: Final = "kith"
LIFETIME: Final = 600  # seconds (reference/identity.md 3.1)
MAX_LIFETIME: Final = 900  # seconds (ID-10); a verifier refuses longer ones, since ended sessions are remembered no longer
SKEW: Final = 30  # seconds that two clocks may differ (ID-10)

_LARGEST: Final = 2**53  # integers beyond are not the same number in every JSON reader (RFC 8259, section 6)


def text(claims: Mapping[str, Any], name: str) -> str:
    """Return a claim that must be a text."""
    value = claims.get(name)
    if not isinstance(value, str):
        raise invalid(f"{name} is no text")
    return value


def identifier(claims: Mapping[str, Any], name: str) -> str:
    """Return a claim that must be a canonical id."""
    value = text(claims, name)
    if not ids.valid(value):
        raise invalid(f"{name} is no id")
    return value


def integer(claims: Mapping[str, Any], name: str) -> int:
    """Return a claim that must be a whole number; neither 1e30 nor "12" nor true is one."""
    value = claims.get(name)
    if type(value) is not int or not 0 <= value < _LARGEST:
        raise invalid(f"{name} is no whole number")
    return value


def _texts(claims: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = claims.get(name)
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise invalid(f"{name} is no list of texts")
    return tuple(value)


def _permissions(claims: Mapping[str, Any], name: str) -> int:
    try:
        return permissions.decode(text(claims, name))
    except ValueError as error:
        raise invalid(f"{name} is no permission set") from error


def _same(value: object) -> object:
    return value


def _claim(name: str, read: Callable[[Mapping[str, Any], str], object], write: Callable[[Any], object] = _same) -> Any:
    return field(metadata={"claim": name, "read": read, "write": write})


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """A person's right to call as a member of one tenant. Times are seconds since 1970."""

    token_id: str = _claim("jti", identifier)
    tenant_id: str = _claim("tid", identifier)
    user_id: str = _claim("sub", identifier)
    member_id: str = _claim("mid", identifier)
    session_id: str = _claim("sid", identifier)
    permissions: int = _claim("pb", _permissions, permissions.encode)
    catalogue_version: int = _claim("cv", integer)
    permission_version: int = _claim("pv", integer)
    methods: tuple[str, ...] = _claim("amr", _texts, list)
    assurance: str = _claim("acr", text)
    auth_time: int = _claim("auth_time", integer)
    issued: int = _claim("iat", integer)
    expires: int = _claim("exp", integer)

    def claims(self, *, issuer: str) -> dict[str, Any]:
        """Return the claims to sign, in the name of an issuer."""
        own = {each.metadata["claim"]: each.metadata["write"](getattr(self, each.name)) for each in fields(self)}
        return {"iss": issuer, "aud": AUDIENCE, "nbf": self.issued, **own}

    @classmethod
    def of(cls, claims: Mapping[str, Any]) -> "AccessToken":
        """Return what the claims say; refuse one that is missing or of another form."""
        return cls(**{each.name: each.metadata["read"](claims, each.metadata["claim"]) for each in fields(cls)})


def check_origin(claims: Mapping[str, Any], *, issuer: str, audience: str) -> None:
    """Refuse a token of another issuer, or for another audience; a list of audiences is another audience."""
    if claims.get("iss") != issuer:
        raise invalid("another issuer")
    if claims.get("aud") != audience:
        raise invalid("another audience")


def check_times(claims: Mapping[str, Any], *, now: int, longest: int) -> None:
    """Refuse a token that lives longer than it may, is not valid yet, or no more."""
    issued, expires = integer(claims, "iat"), integer(claims, "exp")
    if not 0 < expires - issued <= longest:
        raise invalid("it lives too long")
    if issued > now + SKEW or integer(claims, "nbf") > now + SKEW:
        raise invalid("it is not valid yet")
    check_alive(expires, now=now)


def check_alive(expires: int, *, now: int) -> None:
    """Refuse a token after its end."""
    if now >= expires + SKEW:
        raise invalid("it expired")
