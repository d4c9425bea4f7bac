"""Members: class tenant, a projection of kith.identity.v1.Member."""

from collections.abc import Collection
from typing import Final

from sqlalchemy import ARRAY, Column, Text, bindparam, func, select

from chassis.database import Query, UnitOfWork, tenant_table
from chassis.database.columns import identifier, version
from chassis.mapping import Mapping
from chassis.records import Projection
from kith.identity.v1.members_pb2 import Member
from services.crm.store import METADATA

members: Final = tenant_table(
    "members",
    METADATA,
    identifier("id"),
    version(),
    Column("name", Text, nullable=False),
)
PROJECTION: Final = Projection(Mapping(Member, members), members)
_KNOWN: Final = Query(select(members.c.id).where(members.c.id == func.any(bindparam("ids", type_=ARRAY(members.c.id.type)))))


async def known(work: UnitOfWork, ids: Collection[str]) -> set[str]:
    """Return those of the ids that are members'."""
    return {row["id"] for row in await work.all(_KNOWN, ids=list(ids))}
