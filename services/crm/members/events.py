"""What crm does when somebody joins an organisation."""

from collections.abc import Mapping
from typing import Final

from google.protobuf.message import Message

from chassis.database import UnitOfWork
from chassis.events.handling import Handler
from kith.identity.v1.events_pb2 import MemberCreated
from services.crm.members import store


async def created(work: UnitOfWork, event: MemberCreated) -> None:
    """Remember a new member."""
    await store.PROJECTION.put(work, event.member)


HANDLERS: Final[Mapping[type[Message], Handler]] = {MemberCreated: created}
