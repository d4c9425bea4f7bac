"""Companies: class tenant."""

from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import ARRAY, BigInteger, Column, Text, bindparam, func, select
from sqlalchemy.dialects.postgresql import JSONB

from chassis import filters, texts
from chassis.answers import Pages
from chassis.database import Query, Question, UnitOfWork, tenant_table
from chassis.database.columns import reference, word
from chassis.exports import Export
from chassis.filters import Fields
from chassis.listing import Listing
from chassis.mapping import Mapping
from kith.crm.v1.companies_pb2 import Company, ListCompaniesResponse
from kith.options.v1.permissions_pb2 import PERMISSION_CRM_COMPANIES_READ
from services.crm.records.store import RecordStore, indices, record_columns
from services.crm.store import METADATA

ORDERS: Final = ("sort_name", "create_time", "update_time")

companies: Final = tenant_table(
    "companies",
    METADATA,
    *record_columns(),
    Column("name", Text, nullable=False),
    word("sort_name"),
    word("domain"),
    word("industry"),
    Column("employee_count", BigInteger, nullable=False),
    Column("phones", JSONB, nullable=False),
    Column("address", JSONB),
    reference("owner_id"),
    word("source"),
    Column("tags", JSONB, nullable=False),
    Column("description", Text, nullable=False),
    *indices("companies", orders=ORDERS, words=("domain", "industry", "source"), others=("employee_count", "owner_id")),
)
_C: Final = companies.c
_MAPPING: Final = Mapping(Company, companies)


STORE: Final = RecordStore(_MAPPING, companies, {"sort_name": lambda company: texts.fold(company.name)})
LISTING: Final = Listing(
    companies,
    columns=_MAPPING.columns,
    orders={"name": _C.sort_name, "create_time": _C.create_time, "update_time": _C.update_time},
    default="create_time desc",
    deleted=_C.delete_time,
    filters=Fields(
        filters.text("name", _C.sort_name, fold=texts.fold),
        filters.text("domain", _C.domain, fold=str.lower),
        filters.text("industry", _C.industry),
        filters.integer("employee_count", _C.employee_count),
        filters.uuid("owner_id", _C.owner_id),
        filters.text("source", _C.source),
        filters.timestamp("create_time", _C.create_time),
        filters.timestamp("update_time", _C.update_time),
    ),
)
PAGES: Final = Pages(ListCompaniesResponse, _MAPPING)
EXPORT: Final = Export("companies", LISTING, _MAPPING, permission=PERMISSION_CRM_COMPANIES_READ)

LIVE: Final = Query(
    select(_C.id)
    .where(_C.id == func.any(bindparam("ids", type_=ARRAY(_C.id.type))), _C.delete_time.is_(None))
    .with_for_update(read=True, key_share=True)
)


def _by(column: Column[Any]) -> Query:
    keys = func.any(bindparam("keys", type_=ARRAY(column.type)))
    return Query(select(column.label("key"), _C.id).where(column == keys, column > "", _C.delete_time.is_(None)))


BY_KEY: Final = {"domain": _by(_C.domain), "name": _by(_C.sort_name)}
"""How live companies are found by domain or folded name, many at once."""


def _named(column: Column[Any]) -> Query:
    keys = func.any(bindparam("keys", type_=ARRAY(column.type)))
    found = select(_C.id, _C.name, _C.domain).where(column == keys, column > "", _C.delete_time.is_(None))
    return Query(found.with_for_update(read=True, key_share=True))


NAMED: Final = {"domain": _named(_C.domain), "name": _named(_C.sort_name)}
"""Like `BY_KEY`, with what tells companies apart; they are not purged until the end of the unit of work."""


async def find(work: UnitOfWork, kind: str, keys: Collection[str]) -> Question:
    """Ask for live companies by domain or folded name, many at once; rows: key, id."""
    return await work.ask(BY_KEY[kind], keys=list(keys))


async def named(work: UnitOfWork, domains: Collection[str], names: Collection[str]) -> list[Company]:
    """Return live companies by domains and folded names, with no more than id, name and domain; they stay, see `live`."""
    asked = [("domain", domains), ("name", names)]
    rows = [row for kind, keys in asked if keys for row in await work.all(NAMED[kind], keys=sorted(keys))]
    return [Company(**row) for row in {row["id"]: row for row in rows}.values()]


async def live(work: UnitOfWork, ids: Collection[str]) -> set[str]:
    """Return those of the ids that are companies and not deleted; they stay until the end of the unit of work."""
    return {row["id"] for row in await work.all(LIVE, ids=list(ids))}
