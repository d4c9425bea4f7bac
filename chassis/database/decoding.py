"""What PostgreSQL sends in its binary formats (each type's `send` function) as Python values: ids as text, moments in UTC."""

import struct
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any, Final, NamedTuple

import orjson
from psycopg.pq.abc import PGresult

from chassis.database.encoding import DAY, EPOCH

Decode = Callable[[bytes], Any]
Row = dict[str, Any]


class Column(NamedTuple):
    """A column of a statement's rows."""

    place: int
    name: str
    decode: Decode


def _uuid(raw: bytes) -> str:
    digits = raw.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _integer(raw: bytes) -> int:
    return int.from_bytes(raw, "big", signed=True)


def _moment(raw: bytes) -> Any:
    return EPOCH + timedelta(microseconds=int.from_bytes(raw, "big", signed=True))


def _date(raw: bytes) -> date:
    return date.fromordinal(DAY + int.from_bytes(raw, "big", signed=True))


def _jsonb(raw: bytes) -> Any:
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
    16: lambda raw: raw != b"\x00",
    17: bytes,
    **dict.fromkeys((20, 21, 23, 26), _integer),
    **dict.fromkeys((18, 19, 25, 1042, 1043), bytes.decode),
    114: orjson.loads,
    701: lambda raw: _double(raw)[0],
    1082: _date,
    1184: _moment,
    **dict.fromkeys((1000, 1001, 1005, 1007, 1009, 1015, 1016, 1022, 1182, 1185, 2951, 3807), _array),
    2278: _void,
    2950: _uuid,
    3802: _jsonb,
}
"""By the object id of the type in the catalogue; pg_type.dat."""


def columns(result: PGresult) -> list[Column]:
    """Return how the rows of a statement are read; TypeError for a type that no statement has had so far."""
    found = []
    for index in range(result.nfields):
        name, kind = (result.fname(index) or b"").decode(), result.ftype(index)
        if kind not in _DECODERS:
            raise TypeError(f"column {name}: type {kind} is not read: add it in chassis/database/decoding.py or cast it")
        found.append(Column(index, name, _DECODERS[kind]))
    return found


def rows(result: PGresult, described: list[Column]) -> list[Row]:
    """Return the rows of a result."""
    value = result.get_value
    found: list[Row] = []
    for number in range(result.ntuples):
        row: Row = {}
        for place, name, decode in described:
            raw = value(number, place)
            row[name] = None if raw is None else decode(raw)
        found.append(row)
    return found
