"""Change sets and the images of their records: class tenant."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from sqlalchemy import BigInteger, Column, Index, LargeBinary, PrimaryKeyConstraint, bindparam, select
from sqlalchemy.dialects.postgresql import JSONB, insert

from chassis.answers import Pages
from chassis.database import Query, UnitOfWork, tenant_table
from chassis.database.arrays import arrays, unnested
from chassis.database.columns import identifier, reference, resource_columns, version, word
from chassis.listing import Listing
from chassis.mapping import VERSION, Mapping
from chassis.records import Store
from kith.crm.v1.change_sets_pb2 import ChangeSet, ListChangeSetsResponse
from services.crm.store import METADATA

change_sets: Final = tenant_table(
    "change_sets",
    METADATA,
    *resource_columns(),
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
    identifier("change_set_id"),
    identifier("record_id"),
    version(),
    Column("before", LargeBinary),
    Column("after", LargeBinary),
    word("noun"),
    PrimaryKeyConstraint("tenant_id", "change_set_id", "record_id"),
)
_S: Final = change_sets.c
_C: Final = changes.c
_MAPPING: Final = Mapping(ChangeSet, change_sets)
LISTING: Final = Listing(change_sets, columns=_MAPPING.columns, orders={"create_time": _S.create_time}, default="create_time desc")
PAGES: Final = Pages(ListChangeSetsResponse, _MAPPING)
STORE: Final = Store(_MAPPING, change_sets)

_IS_MEANT = _S.id == bindparam("id", type_=_S.id.type)
_UP_TO: Final = Query(select(_S.reverted_up_to).where(_IS_MEANT))
_REACH: Final = Query(change_sets.update().where(_IS_MEANT).values(reverted_up_to=bindparam("up_to", type_=_S.reverted_up_to.type)))
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


async def add_changes(work: UnitOfWork, change_set_id: str, found: Iterable[Change]) -> None:
    """Keep the images of changed records. Of one that was changed before, the older first image stays."""
    rows = [{"change_set_id": change_set_id, **change._asdict()} for change in found]
    await work.send(_ADD_CHANGES, **arrays(rows, _IMAGE))


async def reverted_up_to(work: UnitOfWork, change_set_id: str) -> str:
    """Return the record up to which a change set was reverted; they are taken in the order of their ids."""
    row = await work.first(_UP_TO, id=change_set_id)
    return (row and row["reverted_up_to"]) or _FIRST


async def reach(work: UnitOfWork, change_set_id: str, up_to: str) -> None:
    """Say up to which record a locked change set was reverted."""
    await work.send(_REACH, id=change_set_id, up_to=up_to)


async def changes_behind(work: UnitOfWork, change_set_id: str, behind: str, most: int) -> list[Change]:
    """Return the next changes to be reverted."""
    return [Change(**row) for row in await work.all(CHANGES, id=change_set_id, behind=behind, most=most)]
