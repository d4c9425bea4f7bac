"""Change sets and the images of their records: class tenant."""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from sqlalchemy import BigInteger, Column, DateTime, Index, LargeBinary, PrimaryKeyConstraint, Uuid, bindparam, select
from sqlalchemy.dialects.postgresql import JSONB, insert

from chassis import etags
from chassis.database import Query, UnitOfWork, tenant_table
from chassis.listing import Listing
from chassis.mapping import VERSION, Mapping
from kith.crm.v1.change_sets_pb2 import ChangeSet
from services.crm.records.store import arrays, reference, unnested, word
from services.crm.store import METADATA

change_sets: Final = tenant_table(
    "change_sets",
    METADATA,
    Column("id", Uuid(as_uuid=False), nullable=False),
    Column(VERSION, BigInteger, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    Column("update_time", DateTime(timezone=True), nullable=False),
    word("kind"),
    word("origin"),
    word("state"),
    reference("creator_id"),
    Column("change_count", BigInteger, nullable=False),
    Column("reverted_count", BigInteger, nullable=False),
    Column("kept_count", BigInteger, nullable=False),
    Column("kept_edits", JSONB, nullable=False),
    reference("reverted_up_to"),
    Column("further_kinds", JSONB, nullable=False),
    Index("change_sets_create_time", "tenant_id", "create_time", "id"),
)

changes: Final = tenant_table(
    "changes",
    METADATA,
    Column("change_set_id", Uuid(as_uuid=False), nullable=False),
    Column("record_id", Uuid(as_uuid=False), nullable=False),
    Column(VERSION, BigInteger, nullable=False),
    Column("before", LargeBinary),
    Column("after", LargeBinary),
    word("noun"),
    PrimaryKeyConstraint("tenant_id", "change_set_id", "record_id"),
)
_S: Final = change_sets.c
_C: Final = changes.c
_MAPPING: Final = Mapping(ChangeSet, change_sets)
LISTING: Final = Listing(change_sets, columns=_MAPPING.columns, orders={"create_time": _S.create_time}, default="create_time desc")

_GET = select(*(_S[name] for name in (*_MAPPING.columns, "reverted_up_to"))).where(_S.id == bindparam("id", type_=_S.id.type))
_ONE: Final = Query(_GET)
_LOCK: Final = Query(_GET.with_for_update())
_WRITTEN: Final = (*_MAPPING.columns, "reverted_up_to")
_ADD: Final = Query(change_sets.insert().values({name: bindparam(name, type_=_S[name].type) for name in _WRITTEN}))
_PUT: Final = Query(
    change_sets.update()
    .where(_S.id == bindparam("own_id", type_=_S.id.type))
    .values({name: bindparam(name, type_=_S[name].type) for name in _WRITTEN if name not in {"id", "create_time"}})
)
_IMAGE: Final = ("change_set_id", "record_id", VERSION, "before", "after", "noun")
_given: Final = unnested(changes, _IMAGE)
_NEW: Final = insert(changes).from_select(_IMAGE, select(*(_given.c[name] for name in _IMAGE)))
_ADD_CHANGES: Final = Query(
    _NEW.on_conflict_do_update(
        index_elements=["tenant_id", "change_set_id", "record_id"],
        set_={VERSION: _NEW.excluded[VERSION], "after": _NEW.excluded.after},
    )
)
CHANGES: Final = Query(
    select(_C.record_id, _C.version, _C.before, _C.after, _C.noun)
    .where(_C.change_set_id == bindparam("id", type_=_C.change_set_id.type), _C.record_id > bindparam("behind", type_=_C.record_id.type))
    .order_by(_C.record_id)
    .limit(bindparam("most", type_=BigInteger()))
)
_FIRST: Final = "00000000-0000-0000-0000-000000000000"


class Change(NamedTuple):
    """One changed record: its version after the change, and its images as bytes; no `before` where it was created.

    `noun` is empty in what older releases kept: there it is the change set's own.
    """

    record_id: str
    version: int
    before: bytes | None
    after: bytes | None
    noun: str


class Kept(NamedTuple):
    """A change set, and the last record that was reverted."""

    change_set: ChangeSet
    reverted_up_to: str


def message(row: dict[str, Any]) -> ChangeSet:
    """Return the change set of a row that the listing found."""
    return _MAPPING.message(row)


async def get(work: UnitOfWork, change_set_id: str) -> ChangeSet | None:
    """Return a change set."""
    row = await work.first(_ONE, id=change_set_id)
    return None if row is None else _MAPPING.message(row)


async def lock(work: UnitOfWork, change_set_id: str) -> Kept | None:
    """Return a change set, and keep others from changing it until the end of the unit of work."""
    row = await work.first(_LOCK, id=change_set_id)
    return None if row is None else Kept(_MAPPING.message(row), row["reverted_up_to"] or _FIRST)


async def add(work: UnitOfWork, change_set: ChangeSet) -> None:
    """Keep a new change set."""
    await work.run(_ADD, **_MAPPING.values(change_set), version=etags.version(change_set.etag), reverted_up_to=None)


async def put(work: UnitOfWork, kept: Kept) -> None:
    """Keep a change set as it is now; it was locked before."""
    values = _MAPPING.values(kept.change_set)
    own_id = values.pop("id")
    del values["create_time"]
    version = etags.version(kept.change_set.etag)
    await work.run(_PUT, **values, own_id=own_id, version=version, reverted_up_to=kept.reverted_up_to)


async def add_changes(work: UnitOfWork, change_set_id: str, found: Iterable[Change]) -> None:
    """Keep the images of changed records. Of one that was changed before, the older first image stays."""
    rows = [{"change_set_id": change_set_id, **change._asdict()} for change in found]
    await work.run(_ADD_CHANGES, **arrays(rows, _IMAGE))


async def changes_behind(work: UnitOfWork, kept: Kept, most: int) -> list[Change]:
    """Return the next changes to be reverted."""
    rows = await work.all(CHANGES, id=kept.change_set.id, behind=kept.reverted_up_to, most=most)
    return [Change(**row) for row in rows]
