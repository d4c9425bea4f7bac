"""Why a request to a user's address was not made, or not to its end: one cause each, and what the caller is told of it."""

from enum import StrEnum
from typing import Final, NamedTuple

from chassis.errors import DeadlineExceeded, ErrorReason, FailedPrecondition, InvalidArgument, Reason, Refusal, Violation


class Cause(StrEnum):
    """What an operator sees in metrics and logs. A caller is not told NAME from ADDRESS: that would tell which internal names there are."""

    URL = "url"
    SCHEME = "scheme"
    CREDENTIALS = "credentials"
    HOST = "host"
    PORT = "port"
    ADDRESS = "address"
    NAME = "name"
    RESOLVER = "resolver"
    CONNECTION = "connection"
    TLS = "tls"
    PROTOCOL = "protocol"
    TIME = "time"
    DEADLINE = "deadline"
    HEAD = "head"
    SIZE = "size"
    ENCODING = "encoding"


class Stopped(Exception):
    """An exchange ends here. Inside of this room only: the caller gets a Refusal."""

    def __init__(self, cause: Cause) -> None:
        super().__init__(cause)
        self.cause = cause


class _Said(NamedTuple):
    """A cause as the caller sees it."""

    kind: type[Refusal]
    reason: ErrorReason
    cause: Cause
    text: str


def _refused(cause: Cause, text: str) -> _Said:
    return _Said(InvalidArgument, Reason.EGRESS_REFUSED, cause, text)


def _failed(cause: Cause, text: str) -> _Said:
    return _Said(FailedPrecondition, Reason.EGRESS_FAILED, cause, text)


_NOWHERE: Final = _refused(Cause.ADDRESS, "its host does not lead to an address that may be called")

_SAID: Final = {
    Cause.URL: _refused(Cause.URL, "must be an absolute URL, percent-encoded and without a fragment"),
    Cause.SCHEME: _refused(Cause.SCHEME, "its scheme is none that is called for this"),
    Cause.CREDENTIALS: _refused(Cause.CREDENTIALS, "must hold no user name and no password"),
    Cause.HOST: _refused(Cause.HOST, "its host is neither a full domain name nor an address in its usual form"),
    Cause.PORT: _refused(Cause.PORT, "its port is none that is called for this"),
    Cause.ADDRESS: _NOWHERE,
    Cause.NAME: _NOWHERE,
    Cause.RESOLVER: _failed(Cause.RESOLVER, "its name cannot be looked up now"),
    Cause.CONNECTION: _failed(Cause.CONNECTION, "no connection could be made or kept"),
    Cause.TLS: _failed(Cause.TLS, "its certificate does not hold, or TLS could not be agreed on"),
    Cause.PROTOCOL: _failed(Cause.PROTOCOL, "what answers there is not HTTP"),
    Cause.TIME: _failed(Cause.TIME, "did not answer in time"),
    Cause.DEADLINE: _Said(DeadlineExceeded, Reason.DEADLINE_EXCEEDED, Cause.DEADLINE, "could not be asked in the time that the call has"),
    Cause.HEAD: _failed(Cause.HEAD, "answered with more headers than are taken"),
    Cause.SIZE: _failed(Cause.SIZE, "answered with more than is taken"),
    Cause.ENCODING: _failed(Cause.ENCODING, "answered with compressed content, which was not asked for"),
}


def refusal(cause: Cause, field: str) -> Refusal:
    """Return what the caller is told; `field` is theirs that held the URL."""
    said = _SAID[cause]
    return said.kind(said.reason, f"{field}: {said.text}", fields=[Violation(field, said.text, said.reason)], cause=said.cause)
