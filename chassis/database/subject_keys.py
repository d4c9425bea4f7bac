"""The table of subject keys, and the keys that one unit of work seals its events with."""

from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final, Protocol

from cachetools import LRUCache
from sqlalchemy import (
    ARRAY,
    Boolean,
    CheckConstraint,
    Column,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    bindparam,
    func,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import insert

from chassis import turns
from chassis.database import tenancy
from chassis.database.statements import Query
from chassis.database.tables import tenant_table
from chassis.database.tenancy import Operations
from chassis.sealing.keys import REMEMBERED, Memory, SubjectKey

KEYS: Final = MetaData()

root_key: Final = Table(
    "root_key",
    KEYS,
    Column("single", Boolean, CheckConstraint("single"), primary_key=True, server_default=true()),
    Column("sealed", LargeBinary, nullable=False),
)
"""Class system, one row: the key that the others are wrapped under, sealed under the platform's master key."""

subject_keys: Final = tenant_table(
    "subject_keys",
    KEYS,
    Column("subject", Text(collation="C"), nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    PrimaryKeyConstraint("tenant_id", "subject"),
)


def create(op: Operations) -> None:
    """Create the tables with their rights: the runtime role makes, reads and destroys its tenant's keys, the system role keeps the root."""
    KEYS.create_all(op.get_bind())
    tenancy.protect(op, "subject_keys", grants="SELECT, INSERT, DELETE")
    op.execute(f"GRANT SELECT, INSERT, UPDATE ON root_key TO {tenancy.role(op, 'system')}")


def drop(op: Operations) -> None:
    """Drop them again, after which no personal data in events can be read any more."""
    KEYS.drop_all(op.get_bind())


_SUBJECTS: Final = bindparam("subjects", type_=ARRAY(Text()))
_ROWS: Final = func.unnest(_SUBJECTS, bindparam("wrapped", type_=ARRAY(LargeBinary()))).table_valued("subject", "wrapped").render_derived()
_GIVEN: Final = insert(subject_keys).from_select(["subject", "wrapped"], select(_ROWS.c.subject, _ROWS.c.wrapped))
_FIND: Final = Query(select(subject_keys.c.subject, subject_keys.c.wrapped).where(subject_keys.c.subject == func.any(_SUBJECTS)))
_ADD: Final = Query(_GIVEN)
_ADD_ONE: Final = Query(subject_keys.insert().inline().values(subject=bindparam("subject"), wrapped=bindparam("wrapped")))
"""A call makes one record nearly always, and arrays of one cost as much as the rest of their statement."""
_OFFER: Final = Query(_GIVEN.on_conflict_do_nothing())
_DESTROY: Final = Query(subject_keys.delete().where(subject_keys.c.subject == func.any(_SUBJECTS)))


class Statements(Protocol):
    """What is needed of a unit of work."""

    async def all(self, query: Query, **values: Any) -> list[dict[str, Any]]:
        """Return every row of the statement."""

    async def send(self, query: Query, **values: Any) -> None:
        """Run a statement; a failure shows at a later one."""


class Keys:
    """The keys of one unit of work. Those that it found or made are the process's once it is committed."""

    def __init__(self, memory: Memory, tenant_id: str, statements: Statements) -> None:
        self._memory = memory
        self._tenant_id = tenant_id
        self._statements = statements
        self._learned: LRUCache[str, SubjectKey] = LRUCache(REMEMBERED)
        self._destroyed: set[str] = set()

    async def of(self, subjects: Mapping[str, bool]) -> Mapping[str, SubjectKey]:
        """Return the key of each subject; a value says that the record is new, so that nobody has to look whether it has one.

        Should it have one all the same, the transaction fails, and its next try looks.
        """
        known = {subject: key for subject in subjects if (key := self._remembered(subject))}
        fresh = [subject for subject in subjects if subject not in known and self._is_first(subject, new=subjects[subject])]
        learned = await self._add(fresh) if fresh else {}
        learned.update(await self._look(subjects.keys() - known.keys() - learned.keys()))
        self._learned.update(learned)
        return {**known, **learned}

    async def find(self, subjects: Collection[str]) -> dict[str, SubjectKey]:
        """Return the keys that subjects have."""
        root = self._memory.root
        rows = await self._statements.all(_FIND, subjects=list(subjects))
        return {row["subject"]: root.unwrap(row["wrapped"], self._tenant_id, row["subject"]) for row in rows}

    async def destroy(self, subjects: Sequence[str]) -> None:
        """Destroy the keys of subjects."""
        self._destroyed.update(subjects)
        for subject in subjects:
            self._learned.pop(subject, None)
        await self._statements.send(_DESTROY, subjects=list(subjects))

    def committed(self) -> None:
        """Let the process know what is kept now."""
        self._memory.forget(self._tenant_id, self._destroyed)
        self._memory.keep(self._tenant_id, self._learned)

    def rolled_back(self) -> None:
        """Let the process look the next time: it may have been a first key that failed."""
        self._memory.doubt(self._tenant_id, self._learned)

    def _remembered(self, subject: str) -> SubjectKey | None:
        learned = self._learned.get(subject)
        return learned or (None if subject in self._destroyed else self._memory.get(self._tenant_id, subject))

    def _is_first(self, subject: str, *, new: bool) -> bool:
        return new and subject not in self._destroyed and not self._memory.is_doubtful(self._tenant_id, subject)

    async def _look(self, subjects: AbstractSet[str]) -> dict[str, SubjectKey]:
        """Find keys; offer one for each record that has none, and take what is there then, be it another's offer."""
        found = await self.find(subjects) if subjects else {}
        without = subjects - found.keys()
        if without:
            await self._give(_OFFER, _made(without))
            found.update(await self.find(without))
        return found

    async def _add(self, subjects: Collection[str]) -> dict[str, SubjectKey]:
        made = _made(subjects)
        if len(made) == 1:
            for subject, key in made.items():
                await self._statements.send(_ADD_ONE, subject=subject, wrapped=self._wrapped(subject, key))
        else:
            await self._give(_ADD, made)
        return made

    async def _give(self, query: Query, made: Mapping[str, SubjectKey]) -> None:
        wrapped = await turns.mapped(lambda each: self._wrapped(*each), made.items())
        await self._statements.send(query, subjects=list(made), wrapped=wrapped)

    def _wrapped(self, subject: str, key: SubjectKey) -> bytes:
        return self._memory.root.wrap(key, self._tenant_id, subject)


def _made(subjects: Collection[str]) -> dict[str, SubjectKey]:
    """Make keys, in an order in which two who do so never wait for each other."""
    return {subject: SubjectKey.new() for subject in sorted(subjects)}
