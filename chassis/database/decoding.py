"""What PostgreSQL sends in its binary formats (each type's `send` function) as Python values: ids as text, moments in UTC."""

import struct
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any, Final, NamedTuple

import orjson
from psycopg.pq.abc import PGresult

from chassis.database.encoding import DAY, EPOCH, JSONB_VERSION

Decode = Callable[[bytes], Any]
Row = dict[str, Any]


BOOL: Final = 16
INTEGERS: Final = frozenset((20, 21, 23, 26))
TEXTS: Final = frozenset((18, 19, 25, 1042, 1043))
MOMENT: Final = 1184
UUID: Final = 2950
JSONB: Final = 3802

NO_ENTRIES: Final = JSONB_VERSION + b"[]"
"""An empty list in jsonb."""


class Column(NamedTuple):
    """A column of a statement's rows; `kind` is the object id of its type."""

    place: int
    name: str
    kind: int
    decode: Decode


def uuid(raw: bytes) -> str:
    """Return an id as text."""
    digits = raw.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def integer(raw: bytes) -> int:
    """Return a whole number of any size."""
    return int.from_bytes(raw, "big", signed=True)


def boolean(raw: bytes) -> bool:
    """Return true or false."""
    return raw != b"\x00"


def _moment(raw: bytes) -> Any:
    return EPOCH + timedelta(microseconds=int.from_bytes(raw, "big", signed=True))


def _date(raw: bytes) -> date:
    return date.fromordinal(DAY + int.from_bytes(raw, "big", signed=True))


def tree(raw: bytes) -> Any:
    """Return what jsonb holds."""
    return orjson.loads(raw[1:])


def _void(_: bytes) -> None:
    return None


_double = struct.Struct(">d").unpack
_array_head = struct.Struct(">iII").unpack_from
_dimension = struct.Struct(">ii").unpack_from
_length = struct.Struct(">i").unpack_from


def _array(raw: bytes) -> list[Any]:
    dimensions, _, element = _array_head(raw)
    if not dimensions:
        return []
    if dimensions > 1:
        raise TypeError("arrays of arrays are not read")
    decode, (count, _), place = _DECODERS[element], _dimension(raw, 12), 20
    values: list[Any] = []
    for _ in range(count):
        (size,) = _length(raw, place)
        place += 4
        values.append(None if size < 0 else decode(raw[place : place + size]))
        place += max(size, 0)
    return values


_DECODERS: Final[Mapping[int, Decode]] = {
    BOOL: boolean,
    17: bytes,
    **dict.fromkeys(INTEGERS, integer),
    **dict.fromkeys(TEXTS, bytes.decode),
    114: orjson.loads,
    701: lambda raw: _double(raw)[0],
    1082: _date,
    MOMENT: _moment,
    **dict.fromkeys((1000, 1001, 1005, 1007, 1009, 1015, 1016, 1022, 1182, 1185, 2951, 3807), _array),
    2278: _void,
    UUID: uuid,
    JSONB: tree,
}
"""By the object id of the type in the catalogue; pg_type.dat."""


class Columns:
    """How the rows of a statement are read; TypeError for a type that no statement has had so far."""

    __slots__ = ("described", "names")

    def __init__(self, result: PGresult) -> None:
        self.described = [_column(result, place) for place in range(result.nfields)]
        self.names = tuple(column.name for column in self.described)


def _column(result: PGresult, place: int) -> Column:
    name, kind = (result.fname(place) or b"").decode(), result.ftype(place)
    if kind not in _DECODERS:
        raise TypeError(f"column {name}: type {kind} is not read: add it in chassis/database/decoding.py or cast it")
    return Column(place, name, kind, _DECODERS[kind])


class Found:
    """The rows of a result. A value is read when it is asked for: `get(row, place)` gives it as it came, None for NULL."""

    __slots__ = ("columns", "get", "size")

    def __init__(self, result: PGresult, columns: Columns) -> None:
        self.columns = columns
        self.get: Callable[[int, int], bytes | None] = result.get_value
        self.size: int = result.ntuples

    def rows(self) -> list[Row]:
        """Return all rows."""
        return [self.row(number) for number in range(self.size)]

    def row(self, number: int) -> Row:
        """Return one row."""
        get = self.get
        row: Row = {}
        for place, name, _, decode in self.columns.described:
            raw = get(number, place)
            row[name] = None if raw is None else decode(raw)
        return row

    def value(self, number: int, name: str) -> Any:
        """Return one value."""
        column = self.columns.described[self.columns.names.index(name)]
        raw = self.get(number, column.place)
        return None if raw is None else column.decode(raw)
