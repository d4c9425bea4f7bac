"""What can be filtered: declared fields, how the text of a value is read for each, and the condition that each test becomes."""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, cast
from uuid import UUID

from google.protobuf.descriptor import EnumDescriptor
from sqlalchemy import ColumnElement, and_, bindparam, true

from chassis.mapping import enum_names

OPERATORS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
INT8: Final = range(-(2**63), 2**63)
_WHOLE_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,19}")
_RFC_3339: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})")
_LAST_BEFORE_SURROGATES: Final = 0xD7FF
_FIRST_AFTER_SURROGATES: Final = 0xE000
_LAST: Final = 0x10FFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A field that a filter may name.

    `read` turns the text of a value into what the column holds, or raises ValueError; `expected` says what it takes.
    `absent` is what a column that is never NULL holds for "not set", if there is such a value. `within` leads from a condition on
    the operand to one on the listed row, when the operand belongs to another table.
    """

    name: str
    operand: ColumnElement[Any]
    nullable: bool
    read: Callable[[str], object]
    expected: str
    ordered: bool = True
    prefixes: bool = False
    absent: object = None
    within: Callable[[ColumnElement[bool]], ColumnElement[bool]] | None = None

    @property
    def can_be_unset(self) -> bool:
        """Say whether `""` means "not set" rather than a value."""
        return self.nullable or self.absent is not None or self.within is not None

    def condition(self, how: str, parameters: Sequence[str]) -> ColumnElement[bool]:
        """Return the condition of one test; it is never NULL, so that NOT turns it around."""
        test = self._test(how, [bindparam(name, type_=self.operand.type) for name in parameters])
        if self.within is not None:
            return self.within(test)
        return and_(self.operand.is_not(None), test) if self.nullable else test

    def _test(self, how: str, values: Sequence[ColumnElement[Any]]) -> ColumnElement[bool]:
        match how:
            case "set":
                return true() if self.absent is None else self.operand != self.absent
            case "prefix":
                return and_(self.operand >= values[0], self.operand < values[1])
            case _:
                return cast("ColumnElement[bool]", OPERATORS[how](self.operand, values[0]))


def text(name: str, column: ColumnElement[str], *, fold: Callable[[str], str] = str) -> Field:
    """Declare a text that is '' when it is not set; `fold` brings a value to the form in which the column holds it."""
    return Field(name=name, operand=column, nullable=False, read=fold, expected="a text", prefixes=True, absent="")


def key(
    name: str,
    column: ColumnElement[str],
    *,
    normalise: Callable[[str], str],
    within: Callable[[ColumnElement[bool]], ColumnElement[bool]],
) -> Field:
    """Declare a normalised key that the row has any number of in another table."""
    return Field(
        name=name,
        operand=column,
        nullable=False,
        read=normalise,
        expected="a text",
        ordered=False,
        prefixes=True,
        within=within,
    )


def integer(name: str, column: ColumnElement[int]) -> Field:
    """Declare a whole number that is 0 when it is not set."""
    return Field(name=name, operand=column, nullable=False, read=_integer, expected="a whole number")


def boolean(name: str, column: ColumnElement[bool]) -> Field:
    """Declare a boolean."""
    return Field(name=name, operand=column, nullable=False, read=_boolean, expected="true or false", ordered=False)


def timestamp(name: str, column: ColumnElement[datetime]) -> Field:
    """Declare a point in time."""
    expected = 'an RFC 3339 timestamp such as "2026-01-31T09:30:00Z"'
    return Field(name=name, operand=column, nullable=_nullable(column), read=_timestamp, expected=expected)


def uuid(name: str, column: ColumnElement[Any]) -> Field:
    """Declare an id."""
    return Field(name=name, operand=column, nullable=_nullable(column), read=_uuid, expected="an id", ordered=False)


def enum(name: str, column: ColumnElement[str], kind: EnumDescriptor) -> Field:
    """Declare an enum, which is named as in the contract and stored as `chassis.mapping` stores it."""
    stored = enum_names(kind)
    known = {value.name: stored[value.number] for value in kind.values if value.number}

    def read(value: str) -> str:
        if value not in known:
            raise ValueError(value)
        return known[value]

    return Field(name=name, operand=column, nullable=False, read=read, expected=f"one of {', '.join(known)}", ordered=False)


def after_prefix(prefix: str) -> str | None:
    """Return the first text, by code points, behind all that start with the prefix; None when there is none behind."""
    stem = prefix.rstrip(chr(_LAST))
    if not stem:
        return None
    last = ord(stem[-1])
    return stem[:-1] + chr(_FIRST_AFTER_SURROGATES if last == _LAST_BEFORE_SURROGATES else last + 1)


def _nullable(column: ColumnElement[Any]) -> bool:
    return bool(getattr(column, "nullable", True))


def _integer(value: str) -> int:
    if not _WHOLE_NUMBER.fullmatch(value) or int(value) not in INT8:
        raise ValueError(value)
    return int(value)


def _boolean(value: str) -> bool:
    if value not in {"true", "false"}:
        raise ValueError(value)
    return value == "true"


def _timestamp(value: str) -> datetime:
    if not _RFC_3339.fullmatch(value):
        raise ValueError(value)
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except OverflowError as error:
        raise ValueError(value) from error


def _uuid(value: str) -> str:
    return str(UUID(value))
