"""Contacts and the keys that they are found by: class tenant."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    ColumnElement,
    DateTime,
    ForeignKeyConstraint,
    Index,
    PrimaryKeyConstraint,
    Text,
    bindparam,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB

from chassis import filters, texts
from chassis.answers import Pages
from chassis.database import Query, Question, UnitOfWork, tenant_table
from chassis.database.arrays import unnested
from chassis.database.columns import identifier, reference, word
from chassis.exports import Export
from chassis.filters import Field, Fields
from chassis.listing import Listing
from chassis.mapping import Mapping
from kith.crm.v1.contacts_pb2 import Contact, ContactStatus, ListContactsResponse
from kith.options.v1.permissions_pb2 import PERMISSION_CRM_CONTACTS_READ
from services.crm.companies.store import companies
from services.crm.contacts import rules
from services.crm.parts import emails, phones
from services.crm.records.store import RecordStore, indices, record_columns
from services.crm.store import METADATA

ORDERS: Final = ("sort_name", "create_time", "update_time")

contacts: Final = tenant_table(
    "contacts",
    METADATA,
    *record_columns(),
    Column("given_name", Text, nullable=False),
    Column("family_name", Text, nullable=False),
    Column("display_name", Text, nullable=False),
    word("sort_name"),
    Column("emails", JSONB, nullable=False),
    Column("phones", JSONB, nullable=False),
    word("title"),
    word("department"),
    reference("company_id"),
    reference("owner_id"),
    word("source"),
    word("status"),
    Column("address", JSONB),
    Column("social_profiles", JSONB, nullable=False),
    Column("tags", JSONB, nullable=False),
    Column("last_contacted_time", DateTime(timezone=True)),
    ForeignKeyConstraint(["tenant_id", "company_id"], ["companies.tenant_id", "companies.id"], name="contacts_company"),
    *indices(
        "contacts",
        orders=ORDERS,
        words=("title", "department", "source"),
        others=("company_id", "owner_id", "status", "last_contacted_time"),
    ),
)

contact_keys: Final = tenant_table(
    "contact_keys",
    METADATA,
    identifier("contact_id"),
    word("kind"),
    word("key"),
    PrimaryKeyConstraint("tenant_id", "kind", "key", "contact_id"),
    Index("contact_keys_contact", "tenant_id", "contact_id"),
)
"""No foreign key: its check of each key cost a fifteenth of a new contact, and a millisecond before the planner knew the tables (0041).
Keys are written with their contact and go with it; one without a contact would lead nowhere."""

_C: Final = contacts.c
_MAPPING: Final = Mapping(Contact, contacts)


STORE: Final = RecordStore(_MAPPING, contacts, {"sort_name": lambda contact: texts.fold(contact.display_name)})


def _key(kind: str, normalise: Callable[[str], str]) -> Field:
    def within(test: ColumnElement[bool]) -> ColumnElement[bool]:
        return _C.id.in_(select(contact_keys.c.contact_id).where(contact_keys.c.kind == kind, test))

    return filters.key(kind, contact_keys.c.key, normalise=normalise, within=within)


LISTING: Final = Listing(
    contacts,
    columns=_MAPPING.columns,
    orders={"display_name": _C.sort_name, "create_time": _C.create_time, "update_time": _C.update_time},
    default="create_time desc",
    deleted=_C.delete_time,
    filters=Fields(
        filters.text("display_name", _C.sort_name, fold=texts.fold),
        _key(rules.EMAIL, emails.key),
        _key(rules.PHONE, phones.key),
        filters.text("title", _C.title),
        filters.text("department", _C.department),
        filters.uuid("company_id", _C.company_id),
        filters.uuid("owner_id", _C.owner_id),
        filters.text("source", _C.source),
        filters.enum("status", _C.status, ContactStatus.DESCRIPTOR),
        filters.timestamp("create_time", _C.create_time),
        filters.timestamp("update_time", _C.update_time),
        filters.timestamp("last_contacted_time", _C.last_contacted_time),
    ),
)

PAGES: Final = Pages(ListContactsResponse, _MAPPING)
EXPORT: Final = Export("contacts", LISTING, _MAPPING, permission=PERMISSION_CRM_CONTACTS_READ)

_KEY_COLUMNS: Final = ("contact_id", "kind", "key")
_given: Final = unnested(contact_keys, _KEY_COLUMNS)
_ADD_KEYS: Final = Query(contact_keys.insert().from_select(_KEY_COLUMNS, select(*(_given.c[name] for name in _KEY_COLUMNS))))
DROP_KEYS: Final = Query(contact_keys.delete().where(contact_keys.c.contact_id == func.any(bindparam("ids", type_=ARRAY(_C.id.type)))))
OF_GONE_COMPANIES: Final = Query(
    select(*(_C[name] for name in _MAPPING.columns))
    .join(companies, (companies.c.id == _C.company_id) & (companies.c.tenant_id == _C.tenant_id))
    .where(companies.c.delete_time < bindparam("before", type_=DateTime(timezone=True)))
    .order_by(_C.id)
    .limit(bindparam("most", type_=BigInteger()))
    .with_for_update(of=contacts, key_share=True)
)

BY_KEY: Final = Query(
    select(contact_keys.c.key, contact_keys.c.contact_id.label("id")).where(
        contact_keys.c.kind == bindparam("kind", type_=contact_keys.c.kind.type),
        contact_keys.c.key == func.any(bindparam("keys", type_=ARRAY(contact_keys.c.key.type))),
        select(_C.delete_time.is_(None)).where(_C.id == contact_keys.c.contact_id).scalar_subquery(),
    )
)
"""Each contact that is found is looked at by its id, for most keys of an import are new; a join of both tables, or EXISTS, was taken
through all contacts of the tenant."""


async def add_keys(work: UnitOfWork, keys: Sequence[tuple[str, str, str]]) -> None:
    """Keep keys: contact id, kind, key."""
    await work.send(_ADD_KEYS, **dict(zip(_KEY_COLUMNS, map(list, zip(*keys, strict=True)), strict=True)))


async def find(work: UnitOfWork, kind: str, keys: Collection[str]) -> Question:
    """Ask for live contacts by normalised keys of one kind, many at once; rows: key, id."""
    return await work.ask(BY_KEY, kind=kind, keys=list(keys))


async def drop_keys(work: UnitOfWork, ids: Collection[str]) -> None:
    """Forget all keys of contacts."""
    await work.send(DROP_KEYS, ids=list(ids))


async def lock_of_gone_companies(work: UnitOfWork, before: datetime, most: int) -> list[Contact]:
    """Return contacts whose company was deleted before a time, and lock them."""
    return [_MAPPING.message(row) for row in await work.all(OF_GONE_COMPANIES, before=before, most=most)]
