"""Statements: declared with SQLAlchemy Core, compiled once to text, run by psycopg without SQLAlchemy in the way."""

from typing import Any, Final

from sqlalchemy.dialects.postgresql import psycopg
from sqlalchemy.sql.expression import ClauseElement

_DIALECT: Final = psycopg.dialect()  # type: ignore[no-untyped-call]


class Query:
    """A compiled statement. Values that the statement itself fixes are bound here, the others are named at each run.

    Building one costs some 300 us and running one nothing, so queries are module-level constants. `IN` over a list is
    written as `= ANY(bindparam(..., type_=ARRAY(...)))`: an expanding parameter would need another text per length.
    """

    __slots__ = ("_fixed", "names", "sql", "verb")

    def __init__(self, statement: ClauseElement) -> None:
        compiled = statement.compile(dialect=_DIALECT)
        self.sql = str(compiled)
        if "POSTCOMPILE" in self.sql:
            raise ValueError("write IN over a list as = ANY(...), see Query")
        self.verb = self.sql.partition(" ")[0]
        self.names = frozenset(compiled.params)
        self._fixed: dict[str, Any] = {name: value for name, value in compiled.params.items() if value is not None}

    def bind(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return the parameters of one run."""
        return {**self._fixed, **values} if self._fixed else values

    def __repr__(self) -> str:
        return f"Query({self.sql!r})"
