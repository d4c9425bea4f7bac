"""Who calls, and what the chassis knows about the call in hand."""

import re
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from chassis import ids

if TYPE_CHECKING:
    from chassis.contract import Method
    from chassis.database.pool import Database


REQUEST_ID: Final = re.compile(r"[\x21-\x7e]{1,128}")
"""What a caller may name a request: the edge takes it and every service writes it into its logs and trail, so all of them ask here."""

NO_TENANT: Final = ""
"""The tenant of a unit of work that meets global tables only; a tenant's table refuses it."""


class CallerKind(StrEnum):
    """What a caller is."""

    ANONYMOUS = "anonymous"
    USER = "user"
    SERVICE = "service"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Whom a call is made by and for. Ids are empty where there is none."""

    kind: CallerKind
    tenant_id: str = ""
    user_id: str = ""
    session_id: str = ""
    permissions: int = 0
    service: str = ""

    @property
    def id(self) -> str:
        """Return the principal's id: the user, else the service, else nothing."""
        return self.user_id or self.service

    def may(self, permission: int) -> bool:
        """Say whether the caller holds the permission."""
        return bool(self.permissions >> permission & 1)


ANONYMOUS: Final = Caller(kind=CallerKind.ANONYMOUS)


@dataclass(slots=True, kw_only=True)
class IdempotencyKey:
    """A key that a caller gave, and the keyed digest of the request that it was given for."""

    key: str
    request_hash: bytes


@dataclass(slots=True, kw_only=True)
class Request:
    """What is known about the call in hand; filled by the interceptors in their order.

    `origin` names what runs where no RPC does: an event's consumer or a job. `deadline` is on the event loop's clock. `noted` says
    that a unit of work of the call left a line in the audit trail. `wants_json` says that the answer becomes JSON anyhow, so that
    rows may be written as JSON at once.
    """

    request_id: str
    database: "Database | None" = None
    method: "Method | None" = None
    caller: Caller = ANONYMOUS
    client_ip: str = ""
    user_agent: str = ""
    locale: str = ""
    idempotency: IdempotencyKey | None = None
    resource_id: str = ""
    origin: str = ""
    auth_time: int = 0
    deadline: float | None = None
    noted: bool = False
    wants_json: bool = False

    @property
    def operation(self) -> str:
        """Return what is going on, as metrics name it: the RPC, else the consumer or job."""
        return self.method.full_name if self.method else self.origin


_request: ContextVar[Request] = ContextVar("request")


def current() -> Request:
    """Return the call in hand. Outside of a call, an event or a job this is a programming error: LookupError."""
    return _request.get()


def enter(request: Request) -> None:
    """Make the request the current one of this task."""
    _request.set(request)


def enter_as(service: str, database: "Database", *, origin: str, tenant_id: str = "") -> None:
    """Begin work that no call asks for, in the name of the service itself."""
    caller = Caller(kind=CallerKind.SERVICE, service=service, tenant_id=tenant_id)
    enter(Request(request_id=ids.new(), database=database, caller=caller, origin=origin))
