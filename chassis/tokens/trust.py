"""What a process needs to know who calls it: the published keys, the ended sessions, the keys of the other services."""

import json
from dataclasses import dataclass
from typing import Final, Self

import grpc
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message
from grpc import aio
from joserfc.jwk import ECKey

from chassis import contract
from chassis.errors import Reason, Unavailable
from chassis.settings import ServerSettings
from chassis.tokens.keyset import Fetch, KeySet
from chassis.tokens.revoked import Revoked
from chassis.tokens.service import ServiceSigner, ServiceVerifier
from chassis.tokens.verify import Verifier

FETCH_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Trust:
    """The verifiers and the signer of one process."""

    keys: KeySet
    revoked: Revoked
    users: Verifier
    services: ServiceVerifier
    signer: ServiceSigner

    @classmethod
    def of(cls, name: str, settings: ServerSettings, channel: aio.Channel) -> Self:
        """Return what the process of that name trusts; the key set is fetched over the channel."""
        keys = KeySet(key_set_over(channel))
        revoked = Revoked()
        return cls(
            keys=keys,
            revoked=revoked,
            users=Verifier(issuer=settings.public_url, keys=keys, revoked=revoked),
            services=ServiceVerifier(audience=name, key_set=settings.service_keys_file.read_bytes()),
            signer=ServiceSigner(service=name, key=ECKey.import_key(json.loads(settings.service_key_file.read_bytes()))),
        )

    def end_session(self, event: Message) -> None:
        """Serve the session that the event names no longer."""
        self.revoked.add(contract.at(event, contract.event(type(event)).key))


def key_set_service() -> str:
    """Return the short name of the service that answers with the key set, as upstreams are named."""
    return contract.key_set_method().split(".")[1]


def key_set_over(channel: aio.Channel) -> Fetch:
    """Return what fetches the key set by the one RPC that the contract marks for it."""
    call = channel.unary_unary(
        contract.key_set_method(), request_serializer=Empty.SerializeToString, response_deserializer=HttpBody.FromString
    )

    async def fetch() -> bytes:
        try:
            answer: HttpBody = await call(Empty(), timeout=FETCH_SECONDS, wait_for_ready=True)
        except grpc.RpcError as error:
            raise Unavailable(Reason.UNAVAILABLE, "the key set cannot be fetched") from error
        return bytes(answer.data)

    return fetch
