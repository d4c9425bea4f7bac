"""Statements: declared with SQLAlchemy Core, compiled once to text, run by libpq without SQLAlchemy in the way."""

from hashlib import blake2b
from typing import Any, Final

from sqlalchemy import Select, UpdateBase
from sqlalchemy.dialects.postgresql import asyncpg
from sqlalchemy.sql import visitors
from sqlalchemy.sql.expression import ClauseElement
from sqlalchemy.sql.functions import FunctionElement

from chassis.database.encoding import Encode, encoder

_DIALECT: Final = asyncpg.dialect()  # type: ignore[no-untyped-call]
"""Of SQLAlchemy's dialects the one that numbers parameters as the server wants them ($1) and casts each to its type."""


class Query:
    """A compiled statement. Values that the statement itself fixes are encoded here, the others are named at each run.

    Building one costs some 300 us and running one nothing, so queries are module-level constants. `IN` over a list is
    written as `= ANY(bindparam(..., type_=ARRAY(...)))`: an expanding parameter would need another text per length.
    """

    __slots__ = ("_parameters", "command", "formats", "name", "names", "reads", "sql", "verb")

    def __init__(self, statement: ClauseElement) -> None:
        compiled: Any = statement.compile(dialect=_DIALECT)
        self.sql = str(compiled)
        if "POSTCOMPILE" in self.sql:
            raise ValueError("write IN over a list as = ANY(...), see Query")
        self.command = self.sql.encode()
        self.name = blake2b(self.command, digest_size=12).hexdigest().encode()
        self.verb = self.sql.partition(" ")[0]
        self.reads = isinstance(statement, Select) and not any(map(_does_more, visitors.iterate(statement)))
        self.names = frozenset(compiled.params)
        self._parameters = [_parameter(name, compiled) for name in compiled.positiontup or ()]
        self.formats = [1] * len(self._parameters)

    def parameters(self, values: dict[str, Any]) -> list[bytes | None]:
        """Return the parameters of one run, in their order; KeyError if one is missing."""
        encoded: list[bytes | None] = []
        for name, encode, fixed in self._parameters:
            if name in values:
                value = values[name]
                encoded.append(None if value is None else encode(value))
            elif fixed is not None:
                encoded.append(fixed)
            else:
                raise KeyError(name)
        return encoded

    def __repr__(self) -> str:
        return f"Query({self.sql!r})"


def _does_more(part: Any) -> bool:
    """Say whether a part of a SELECT writes, or locks what is to stay locked to the end of a transaction."""
    if isinstance(part, Select):
        return part._for_update_arg is not None  # noqa: SLF001 - it has no public name
    return isinstance(part, UpdateBase) or (isinstance(part, FunctionElement) and "advisory" in part.name)


def _parameter(name: str, compiled: Any) -> tuple[str, Encode, bytes | None]:
    encode = encoder(compiled.binds[name].type)
    fixed = compiled.params[name]
    return name, encode, None if fixed is None else encode(fixed)
