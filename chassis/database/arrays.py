"""Many rows in one statement: they are given as one array for each column."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ARRAY, Table, bindparam, func
from sqlalchemy.sql.selectable import TableValuedAlias


def unnested(table: Table, columns: Sequence[str]) -> TableValuedAlias:
    """Return rows that are given as arrays, with columns named like the table's."""
    given = (bindparam(name, type_=ARRAY(table.c[name].type)) for name in columns)
    return func.unnest(*given).table_valued(*columns).render_derived(name="given")


def arrays(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> dict[str, list[Any]]:
    """Return rows as the arrays that `unnested` takes."""
    return {name: [row[name] for row in rows] for name in columns}
