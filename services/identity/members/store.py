"""Memberships: class tenant. The row of a person in an organisation has the person's id; who else has it is nobody's business."""

from typing import Final

from sqlalchemy import CheckConstraint, Column, ForeignKeyConstraint, Index, Text, Uuid, bindparam, func, select

from chassis.database import Query, UnitOfWork, tenant_table
from chassis.database.columns import resource_columns
from chassis.listing import Ask, Listing
from chassis.mapping import Mapping
from kith.identity.v1.members_pb2 import Member, Role
from services.identity.store import METADATA, first_version, found

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
_COLUMNS: Final = [memberships.c[name] for name in _MAPPING.columns]
_LISTING: Final = Listing(memberships, columns=_MAPPING.columns, orders={"name": memberships.c.name_key}, default="name")
_INSERT: Final = Query(
    memberships.insert().values({name: bindparam(name) for name in (*_MAPPING.columns, "name_key")}).returning(*_COLUMNS)
)
_GET: Final = Query(select(*_COLUMNS).where(memberships.c.id == bindparam("id")))
# Row-level security hides in which organisations somebody is; this function looks behind it and returns their ids alone.
_TENANTS: Final = Query(select(func.tenants_of_user(bindparam("user_id", type_=Uuid(as_uuid=False))).column_valued("tenant_id")))


async def insert(work: UnitOfWork, user_id: str, role: Role.ValueType, *, name_key: str) -> Member:
    """Keep a new membership and return it, without the email and the name."""
    values = _MAPPING.values(Member(role=role)) | first_version(user_id, work.now)
    return _MAPPING.message(found(await work.first(_INSERT, **values, name_key=name_key)))


async def get(work: UnitOfWork, user_id: str) -> Member | None:
    """Return a membership, without the email and the name, which belong to the user."""
    row = await work.first(_GET, id=user_id)
    return _MAPPING.message(row) if row else None


async def page(work: UnitOfWork, ask: Ask) -> tuple[list[Member], str]:
    """Return one page by name, without emails and names, and the token of the next page."""
    page = await _LISTING.page(work, ask)
    return [_MAPPING.message(row) for row in page.rows], page.next_page_token


async def tenants_of(work: UnitOfWork, user_id: str) -> list[str]:
    """Return the ids of the organisations that a user belongs to, the first one joined first."""
    return [row["tenant_id"] for row in await work.all(_TENANTS, user_id=user_id)]
