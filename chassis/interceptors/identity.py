"""Identity: who calls, from the tokens alone. What only the platform may say is believed only beside a service token."""

from typing import Any, ClassVar, Final

from chassis.context import REQUEST_ID, Caller, CallerKind
from chassis.contract import Access
from chassis.errors import InvalidArgument, Reason, Unauthenticated
from chassis.interceptors.chain import Call, Next
from chassis.tokens.bearer import bearer
from chassis.tokens.claims import AccessToken
from chassis.tokens.service import ServiceToken, ServiceVerifier
from chassis.tokens.verify import Verifier

SERVICE_TOKEN: Final = "x-kith-service"
REQUEST: Final = "x-request-id"
CLIENT_IP: Final = "x-kith-client-ip"
USER_AGENT: Final = "x-kith-user-agent"

MAX_ENTRIES: Final = 64  # of metadata; gRPC itself lets hundreds through (reference/identity.md 3.4)


class Identity:
    """Finds out who calls and keeps it in the current request."""

    name: ClassVar[str] = "identity"

    def __init__(self, users: Verifier, services: ServiceVerifier) -> None:
        self._users = users
        self._services = services

    async def __call__(self, call: Call, proceed: Next) -> Any:
        """Refuse a token that does not hold; go on with the caller otherwise, be it nobody."""
        if call.entries > MAX_ENTRIES:
            raise InvalidArgument(Reason.BODY_INVALID, f"more than {MAX_ENTRIES} metadata entries")
        service = self._service(call)
        if service is not None:
            self._believe(call)
        call.request.locale = call.metadata.get("accept-language", "")[:100]
        call.request.caller = await self._caller(call, service)
        return await proceed(call)

    def _service(self, call: Call) -> ServiceToken | None:
        token = call.metadata.get(SERVICE_TOKEN)
        return self._services.verify(token) if token is not None else None

    def _believe(self, call: Call) -> None:
        """Take over what another process of the platform says about its own caller."""
        given = call.metadata.get(REQUEST, "")
        if REQUEST_ID.fullmatch(given):
            call.request.request_id = given
        call.request.client_ip = call.metadata.get(CLIENT_IP, "")[:45]
        call.request.user_agent = call.metadata.get(USER_AGENT, "")[:500]

    async def _caller(self, call: Call, service: ServiceToken | None) -> Caller:
        match call.method.access:
            case Access.PUBLIC:
                return Caller(kind=CallerKind.ANONYMOUS)
            case Access.INTERNAL:
                return _of_service(service)
            case _:
                token = bearer(call.authorizations)
                if token is None:
                    raise Unauthenticated(Reason.TOKEN_MISSING, "this call needs a token")
                return await self._of_user(token, call)

    async def _of_user(self, token: str, call: Call) -> Caller:
        verified: AccessToken = await self._users.verify(token)
        call.request.auth_time = verified.auth_time
        return Caller(
            kind=CallerKind.USER,
            tenant_id=verified.tenant_id,
            user_id=verified.user_id,
            session_id=verified.session_id,
            permissions=verified.permissions,
        )


def _of_service(token: ServiceToken | None) -> Caller:
    if token is None:
        raise Unauthenticated(Reason.INTERNAL_ONLY, "only services of the platform may call this")
    return Caller(kind=CallerKind.SERVICE, tenant_id=token.tenant_id, service=token.service)
