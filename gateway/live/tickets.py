"""Tickets: what a reader that can send no token opens a stream with, once and soon after it was issued."""

from datetime import UTC, datetime
from typing import Final

from chassis import clock, contract, ids
from chassis.errors import Reason
from chassis.events.broker import Broker
from chassis.events.envelope import Envelope
from chassis.tokens import permissions
from gateway.live.reader import Admission
from gateway.live.seal import Seal, SealError
from gateway.problems import Problem
from kith.edge.v1.events_pb2 import TicketClaimed

LIFETIME: Final = 30  # seconds: the time between asking for a ticket and using it; far less than the stream's window for doubles
SOURCE: Final = "edge"
_CLAIMED: Final = contract.event(TicketClaimed).subject


class Tickets:
    """Issues tickets, and takes each one once: whichever process takes it, the edge's stream stores its id only the first time."""

    def __init__(self, seal: Seal, broker: Broker) -> None:
        self._seal = seal
        self._broker = broker

    def issue(self, admission: Admission) -> tuple[str, int]:
        """Return a ticket and the time at which it ends, in seconds since 1970."""
        expires = min(int(clock.now().timestamp()) + LIFETIME, admission.expires)
        said = {
            "id": ids.new(),
            "until": expires,
            "tenant": admission.tenant_id,
            "user": admission.user_id,
            "session": admission.session_id,
            "permissions": permissions.encode(admission.permissions),
            "expires": admission.expires,
        }
        return self._seal.close(said, "ticket"), expires

    async def claim(self, ticket: str) -> Admission:
        """Return whom the ticket was issued to; raise a 401 for one that is false, old or used."""
        try:
            said = self._seal.open(ticket, "ticket")
        except SealError:
            raise _refused("The ticket is not valid.") from None
        if clock.now().timestamp() >= said["until"]:
            raise _refused("The ticket expired.")
        if await self._used(said["id"], said["tenant"]):
            raise _refused("The ticket was used before.")
        return Admission(
            tenant_id=said["tenant"],
            user_id=said["user"],
            session_id=said["session"],
            permissions=permissions.decode(said["permissions"]),
            expires=said["expires"],
        )

    async def _used(self, ticket_id: str, tenant_id: str) -> bool:
        """Claim the ticket; say whether somebody did before: JetStream takes an event of one id once."""
        now = datetime.fromtimestamp(clock.now().timestamp(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        envelope = Envelope(id=ticket_id, type=_CLAIMED, source=SOURCE, time=now, tenant_id=tenant_id, key=ticket_id, version=0)
        answer = await self._broker.jetstream.publish(
            f"{contract.PREFIX}{_CLAIMED}.{tenant_id}",
            TicketClaimed(ticket_id=ticket_id).SerializeToString(),
            headers=envelope.headers(),
        )
        return bool(answer.duplicate)


def _refused(why: str) -> Problem:
    return Problem(401, Reason.TOKEN_INVALID, why)
