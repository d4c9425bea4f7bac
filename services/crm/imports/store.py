"""Imports, their bytes, their rows and what failed: class tenant."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import orjson
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    bindparam,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, insert

from chassis import turns
from chassis.answers import Pages
from chassis.database import Query, Row, UnitOfWork, tenant_table
from chassis.database.arrays import arrays, unnested
from chassis.database.columns import identifier, reference, resource_columns, word
from chassis.listing import Listing
from chassis.mapping import Mapping
from chassis.records import Store
from kith.crm.v1.imports_pb2 import Import, ListImportsResponse
from services.crm.imports.applying import Outcome
from services.crm.imports.sheet import Line
from services.crm.store import METADATA

imports: Final = tenant_table(
    "imports",
    METADATA,
    *resource_columns(),
    word("kind"),
    Column("file_name", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    word("state"),
    Column("problem", Text, nullable=False),
    word("encoding"),
    Column("delimiter", Text, nullable=False),
    Column("has_header", Boolean, nullable=False),
    Column("columns", JSONB, nullable=False),
    word("mode"),
    word("duplicates"),
    word("companies"),
    Column("row_count", BigInteger, nullable=False),
    Column("preview", JSONB),
    Column("report", JSONB),
    reference("change_set_id"),
    reference("creator_id"),
    Index("imports_create_time", "tenant_id", "create_time", "id"),
)


def _part(name: str, *columns: Column[Any]) -> Table:
    """Return a table of what belongs to an import, in its order, and goes with it."""
    return tenant_table(
        name,
        METADATA,
        identifier("import_id"),
        Column("number", BigInteger, nullable=False),
        *columns,
        PrimaryKeyConstraint("tenant_id", "import_id", "number"),
        ForeignKeyConstraint(["tenant_id", "import_id"], ["imports.tenant_id", "imports.id"], name=f"{name}_import", ondelete="CASCADE"),
    )


import_chunks: Final = _part("import_chunks", Column("data", LargeBinary, nullable=False))
import_rows: Final = _part("import_rows", Column("line", BigInteger, nullable=False), Column("cells", Text, nullable=False))
import_errors: Final = _part(
    "import_errors",
    Column("line", BigInteger, nullable=False),
    Column("cells", Text, nullable=False),
    Column("problem", Text, nullable=False),
)

_I: Final = imports.c
_MAPPING: Final = Mapping(Import, imports)
LISTING: Final = Listing(imports, columns=_MAPPING.columns, orders={"create_time": _I.create_time}, default="create_time desc")
PAGES: Final = Pages(ListImportsResponse, _MAPPING)
STORE: Final = Store(_MAPPING, imports)
_UNUSED: Final = ("uploading", "ready")
_ENDED: Final = ("succeeded", "failed", "cancelled")
_FORGET: Final = Query(
    imports.delete().where(
        _I.id == bindparam("id", type_=_I.id.type),
        _I.state.in_([bindparam(f"unused{i}", value) for i, value in enumerate(_UNUSED)])
        | (_I.state.in_([bindparam(f"ended{i}", value) for i, value in enumerate(_ENDED)]) & (_I.update_time < bindparam("before"))),
    )
)


def _further(table: Table, *columns: str) -> Query:
    """Return the statement that reads the parts of an import from a number on."""
    return Query(
        select(*(table.c[name] for name in columns))
        .where(table.c.import_id == bindparam("id", type_=_I.id.type), table.c.number > bindparam("behind", type_=BigInteger()))
        .order_by(table.c.number)
        .limit(bindparam("most", type_=BigInteger()))
    )


def _addition(table: Table) -> Query:
    """Return the statement that adds parts; one that is there already is the same one, of a process that died."""
    names = [column.name for column in table.c if column.name != "tenant_id"]
    given = unnested(table, names)
    return Query(insert(table).from_select(names, select(*(given.c[name] for name in names))).on_conflict_do_nothing())


def _removal(table: Table) -> Query:
    return Query(table.delete().where(table.c.import_id == bindparam("id", type_=_I.id.type)))


CHUNKS: Final = _further(import_chunks, "number", "data")
ROWS: Final = _further(import_rows, "number", "line", "cells")
ERRORS: Final = _further(import_errors, "number", "line", "cells", "problem")
_ADD_CHUNK: Final = Query(
    insert(import_chunks)
    .values({name: bindparam(name, type_=import_chunks.c[name].type) for name in ("import_id", "number", "data")})
    .on_conflict_do_nothing()
)
_ADD_ROWS: Final = _addition(import_rows)
_ADD_ERRORS: Final = _addition(import_errors)
_DROP_CHUNKS: Final = _removal(import_chunks)
_DROP_ROWS: Final = _removal(import_rows)
_DROP_ERRORS: Final = _removal(import_errors)
_FORGET_PLANS: Final = Query(text("DISCARD PLANS"))


async def forget(work: UnitOfWork, import_id: str, before: datetime) -> None:
    """Forget an import that was never run, or that ended before a time."""
    await work.run(_FORGET, id=import_id, before=before)


async def add_chunk(work: UnitOfWork, import_id: str, number: int, data: bytes) -> None:
    """Keep the next bytes of the file; once, however often that is asked for."""
    await work.run(_ADD_CHUNK, import_id=import_id, number=number, data=data)


async def chunk(work: UnitOfWork, import_id: str, behind: int) -> bytes | None:
    """Return the bytes that follow a chunk; None at the end."""
    row = await work.first(CHUNKS, id=import_id, behind=behind, most=1)
    return None if row is None else bytes(row["data"])


async def add_rows(work: UnitOfWork, import_id: str, lines: Sequence[Line]) -> None:
    """Stage rows."""
    rows = [{"import_id": import_id, "number": each.number, "line": each.line, "cells": _json(each.cells)} for each in lines]
    await work.run(_ADD_ROWS, **arrays(rows, ("import_id", "number", "line", "cells")))


async def rows_behind(work: UnitOfWork, import_id: str, behind: int, most: int) -> list[Line]:
    """Return the next staged rows."""
    found = await work.find(ROWS, id=import_id, behind=behind, most=most)
    return await turns.mapped(lambda number: _line(found.row(number)), range(found.size))


async def add_errors(work: UnitOfWork, import_id: str, failed: Sequence[Outcome]) -> None:
    """Keep the rows that failed, with why."""
    rows = [
        {"import_id": import_id, "number": line.number, "line": line.line, "cells": _json(line.cells), "problem": problem}
        for line, _, problem in failed
    ]
    if rows:
        await work.run(_ADD_ERRORS, **arrays(rows, ("import_id", "number", "line", "cells", "problem")))


async def errors_behind(work: UnitOfWork, import_id: str, behind: int, most: int) -> list[Outcome]:
    """Return the next rows that failed."""
    rows = await work.all(ERRORS, id=import_id, behind=behind, most=most)
    return [Outcome(_line(row), "failed", row["problem"]) for row in rows]


async def drop_errors(work: UnitOfWork, import_id: str) -> None:
    """Forget the failed rows of the run before."""
    await work.run(_DROP_ERRORS, id=import_id)


async def drop_rows(work: UnitOfWork, import_id: str) -> None:
    """Forget the staged rows: they were read in another way."""
    await work.run(_DROP_ROWS, id=import_id)


async def drop_file(work: UnitOfWork, import_id: str) -> None:
    """Forget the file and its staged rows: the run is over."""
    await work.run(_DROP_CHUNKS, id=import_id)
    await work.run(_DROP_ROWS, id=import_id)


async def plan_anew(work: UnitOfWork) -> None:
    """Forget the connection's plans, those of foreign keys included.

    One that was made while a table was empty walks through all that a tenant has, and stays until the table is analysed: what one
    transaction writes does not count for that.
    """
    await work.send(_FORGET_PLANS)


def _line(row: Row) -> Line:
    return Line(row["number"], row["line"], orjson.loads(row["cells"]))


def _json(cells: Sequence[str]) -> str:
    """Return cells as a text of JSON: it holds a NUL, which no other text of PostgreSQL does, and is never looked into there."""
    return orjson.dumps(list(cells)).decode()
