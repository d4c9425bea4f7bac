"""Memberships: class tenant. The row of a person in an organisation has the person's id; who else has it is nobody's business."""

from typing import Final

from sqlalchemy import CheckConstraint, Column, ForeignKeyConstraint, Index, Text, Uuid, bindparam, func, select

from chassis import etags, texts
from chassis.database import Query, UnitOfWork, tenant_table
from chassis.database.columns import resource_columns
from chassis.listing import Ask, Listing
from chassis.mapping import Mapping
from chassis.records import Store
from kith.identity.v1.members_pb2 import Member
from services.identity.store import METADATA

ROLES: Final = ("owner", "admin", "manager", "member", "read_only", "billing")

memberships: Final = tenant_table(
    "memberships",
    METADATA,
    *resource_columns(),
    Column("role", Text(collation="C"), CheckConstraint(f"role IN {ROLES}", name="memberships_role"), nullable=False),
    Column("name_key", Text(collation="C"), nullable=False),
    ForeignKeyConstraint(["id"], ["users.id"], name="memberships_user_id"),
    Index("memberships_name", "tenant_id", "name_key", "id"),
    Index("memberships_user", "id"),
)
_MAPPING: Final = Mapping(Member, memberships)
STORE: Final = Store(_MAPPING, memberships)
"""Memberships one by one; email and name belong to the user, and are empty in what is read."""
_WRITTEN: Final = (*_MAPPING.columns, "name_key")
_INSERT: Final = Query(memberships.insert().inline().values({name: bindparam(name, type_=memberships.c[name].type) for name in _WRITTEN}))
_LISTING: Final = Listing(memberships, columns=_MAPPING.columns, orders={"name": memberships.c.name_key}, default="name")
# Row-level security hides in which organisations somebody is; this function looks behind it and returns their ids alone.
_TENANTS: Final = Query(select(func.tenants_of_user(bindparam("user_id", type_=Uuid(as_uuid=False))).column_valued("tenant_id")))


async def insert(work: UnitOfWork, member: Member) -> None:
    """Keep a new membership, in its place among the names."""
    version = etags.version(member.etag)
    await work.send(_INSERT, **_MAPPING.values(member), version=version, name_key=texts.bare(member.name))


async def page(work: UnitOfWork, ask: Ask) -> tuple[list[Member], str]:
    """Return one page by name, without emails and names, and the token of the next page."""
    page = await _LISTING.page(work, ask)
    return [_MAPPING.message(row) for row in page.rows], page.next_page_token


async def tenants_of(work: UnitOfWork, user_id: str) -> list[str]:
    """Return the ids of the organisations that a user belongs to, the first one joined first."""
    return [row["tenant_id"] for row in await work.all(_TENANTS, user_id=user_id)]
