"""AuthService: registering, signing in, staying in, leaving, and the keys that prove it."""

from google.api.httpbody_pb2 import HttpBody
from google.protobuf.empty_pb2 import Empty

from chassis.database import NO_TENANT, unit_of_work
from chassis.errors import Unauthenticated
from chassis.interceptors.chain import Context
from kith.identity.v1.auth_pb2 import RefreshRequest, RegisterRequest, Session, SignInRequest, SignOutRequest
from kith.identity.v1.auth_pb2_grpc import AuthServiceServicer
from services.identity.auth.sign_in import SignIn
from services.identity.auth.sign_up import SignUp
from services.identity.keys.keyring import Keyring
from services.identity.reasons import Reason
from services.identity.sessions import store
from services.identity.sessions.actions import Sessions
from services.identity.sessions.refresh_tokens import RefreshToken
from services.identity.sessions.store import Home


class AuthService(AuthServiceServicer):
    """Nobody is signed in when these are called; what they hold is in the message."""

    def __init__(self, sign_up: SignUp, sign_in: SignIn, sessions: Sessions, keyring: Keyring) -> None:
        self._sign_up = sign_up
        self._sign_in = sign_in
        self._sessions = sessions
        self._keyring = keyring

    async def Register(self, request: RegisterRequest, context: Context) -> Session:
        """Create an organisation and its owner, and sign the owner in."""
        return await self._sign_up.register(request)

    async def SignIn(self, request: SignInRequest, context: Context) -> Session:
        """Open a session."""
        return await self._sign_in.open(request)

    async def Refresh(self, request: RefreshRequest, context: Context) -> Session:
        """Return a new access token and the refresh token's successor."""
        shown = RefreshToken.parse(request.refresh_token)
        home = await _home(shown)
        if shown is None or home is None:
            raise _worth_nothing()
        keys = await self._keyring.current(home.key_id)
        async with unit_of_work(home.tenant_id) as work:
            session = await self._sessions.renew(work, keys, shown)
        if session is None:  # raised after the commit: what a bad token brought to light stays written down
            raise _worth_nothing()
        return session

    async def SignOut(self, request: SignOutRequest, context: Context) -> Empty:
        """End the session of a refresh token; one that is worth nothing has nothing to end."""
        shown = RefreshToken.parse(request.refresh_token)
        home = await _home(shown)
        if shown is not None and home is not None:
            keys = await self._keyring.current(home.key_id)
            async with unit_of_work(home.tenant_id) as work:
                await self._sessions.sign_out(work, keys, shown)
        return Empty()

    async def GetKeySet(self, request: Empty, context: Context) -> HttpBody:
        """Return the JSON Web Key Set of access tokens."""
        keys = await self._keyring.current()
        return HttpBody(content_type="application/jwk-set+json", data=keys.key_set)


async def _home(shown: RefreshToken | None) -> Home | None:
    """Return where the session of a token belongs. Garbage costs no statement."""
    if shown is None:
        return None
    async with unit_of_work(NO_TENANT) as work:
        return await store.home(work, shown)


def _worth_nothing() -> Unauthenticated:
    return Unauthenticated(Reason.SESSION_INVALID, "the refresh token is unknown, ended or was used before")
