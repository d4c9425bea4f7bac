"""What crm does when an organisation registers."""

from collections.abc import Mapping
from typing import Final

from google.protobuf.message import Message

from chassis.database import UnitOfWork
from chassis.events.handling import Handler
from kith.identity.v1.events_pb2 import TenantCreated
from services.crm.tenants import store


async def created(work: UnitOfWork, event: TenantCreated) -> None:
    """Remember the settings of a new tenant."""
    await store.PROJECTION.put(work, event.tenant)


HANDLERS: Final[Mapping[type[Message], Handler]] = {TenantCreated: created}
