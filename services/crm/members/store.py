"""Members: class tenant, a projection of kith.identity.v1.Member."""

from collections.abc import Collection
from typing import Final

from sqlalchemy import ARRAY, Column, Text, bindparam, func, select
from sqlalchemy.dialects.postgresql import insert

from chassis import etags
from chassis.database import Query, UnitOfWork, tenant_table
from chassis.database.columns import identifier, version
from chassis.mapping import Mapping
from kith.identity.v1.members_pb2 import Member
from services.crm.store import METADATA

members: Final = tenant_table(
    "members",
    METADATA,
    identifier("id"),
    version(),
    Column("name", Text, nullable=False),
)
_MAPPING: Final = Mapping(Member, members)
_KNOWN: Final = Query(select(members.c.id).where(members.c.id == func.any(bindparam("ids", type_=ARRAY(members.c.id.type)))))
_NEW: Final = insert(members).values({name: bindparam(name, type_=members.c[name].type) for name in _MAPPING.columns})
_PUT: Final = Query(
    _NEW.on_conflict_do_update(
        index_elements=["tenant_id", "id"],
        set_={name: _NEW.excluded[name] for name in _MAPPING.columns},
        where=_NEW.excluded.version > members.c.version,
    )
)


async def known(work: UnitOfWork, ids: Collection[str]) -> set[str]:
    """Return those of the ids that are members'."""
    return {row["id"] for row in await work.all(_KNOWN, ids=list(ids))}


async def put(work: UnitOfWork, member: Member) -> None:
    """Keep what is known of a member, unless something newer is."""
    await work.run(_PUT, **_MAPPING.values(member), version=etags.version(member.etag))
