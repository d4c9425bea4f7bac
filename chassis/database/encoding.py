"""Python values as the bytes that PostgreSQL takes for a parameter, in its binary formats (each type's `recv` function).

Binary, because a text with a NUL byte would silently end there in the text format; here the server refuses it.
"""

import struct
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import orjson
from sqlalchemy import ARRAY, BigInteger, Boolean, Date, DateTime, Float, Integer, Interval, LargeBinary, SmallInteger, String, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

Encode = Callable[[Any], bytes]

EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""PostgreSQL counts moments in microseconds and days from here."""

DAY: Final = EPOCH.toordinal()
JSONB_VERSION: Final = b"\x01"
NULL: Final = struct.pack(">i", -1)

_length = struct.Struct(">i").pack
_array_head = struct.Struct(">iIIii").pack  # dimensions, flag of NULLs, element type, length, lower bound


def _moment(value: datetime) -> bytes:
    return _microseconds(value - EPOCH)


def _interval(value: timedelta) -> bytes:
    return _microseconds(value) + bytes(8)  # days and months apart: a day may have another length than 24 hours


def _microseconds(value: timedelta) -> bytes:
    return ((value.days * 86_400 + value.seconds) * 1_000_000 + value.microseconds).to_bytes(8, "big", signed=True)


def _date(value: date) -> bytes:
    return (value.toordinal() - DAY).to_bytes(4, "big", signed=True)


def _json(value: Any) -> bytes:
    """Texts are JSON already."""
    return JSONB_VERSION + (value.encode() if isinstance(value, str) else orjson.dumps(value))


def _uuid(value: str) -> bytes:
    return bytes.fromhex(value.replace("-", ""))


_ENCODERS: Final[Mapping[type[TypeEngine[Any]], tuple[int, Encode]]] = {
    Uuid: (2950, _uuid),
    Text: (25, str.encode),
    String: (1043, str.encode),
    BigInteger: (20, lambda value: value.to_bytes(8, "big", signed=True)),
    Integer: (23, lambda value: value.to_bytes(4, "big", signed=True)),
    SmallInteger: (21, lambda value: value.to_bytes(2, "big", signed=True)),
    Boolean: (16, lambda value: b"\x01" if value else b"\x00"),
    Float: (701, struct.Struct(">d").pack),
    DateTime: (1184, _moment),
    Date: (1082, _date),
    Interval: (1186, _interval),
    JSONB: (3802, _json),
    LargeBinary: (17, bytes),
}
"""The object id of each type in the catalogue, and how it is written; pg_type.dat."""


def encoder(kind: TypeEngine[Any]) -> Encode:
    """Return what writes values of a type; TypeError for a type that no statement has had so far."""
    if isinstance(kind, ARRAY):
        return _array(*_scalar(kind.item_type))
    return _scalar(kind)[1]


def _scalar(kind: TypeEngine[Any]) -> tuple[int, Encode]:
    for base in type(kind).__mro__:
        if base in _ENCODERS:
            return _ENCODERS[base]
    raise TypeError(f"no parameter can have the type {kind!r}: name one of those in chassis/database/encoding.py")


def _array(element: int, encode: Encode) -> Encode:
    def encoded(values: list[Any]) -> bytes:
        if not values:
            return _array_head(0, 0, element, 0, 1)[:12]
        pieces = [_array_head(1, int(None in values), element, len(values), 1)]
        for value in values:
            if value is None:
                pieces.append(NULL)
            else:
                raw = encode(value)
                pieces += (_length(len(raw)), raw)
        return b"".join(pieces)

    return encoded
