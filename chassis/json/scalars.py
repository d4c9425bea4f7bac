"""Scalar values as JSON has them."""

import base64
import math
from collections.abc import Callable
from ctypes import c_float
from typing import Any, Final

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor

Encoder = Callable[[Any], Any]

SIXTY_FOUR_BITS: Final = frozenset(
    (
        FieldDescriptor.TYPE_INT64,
        FieldDescriptor.TYPE_SINT64,
        FieldDescriptor.TYPE_SFIXED64,
        FieldDescriptor.TYPE_UINT64,
        FieldDescriptor.TYPE_FIXED64,
    )
)
"""Field types that JSON carries as text, since readers hold numbers as doubles."""

THIRTY_TWO_BITS: Final = frozenset(
    (
        FieldDescriptor.TYPE_INT32,
        FieldDescriptor.TYPE_SINT32,
        FieldDescriptor.TYPE_SFIXED32,
        FieldDescriptor.TYPE_UINT32,
        FieldDescriptor.TYPE_FIXED32,
    )
)
"""Field types that are whole numbers in JSON too."""


def encoder(field: FieldDescriptor) -> Encoder | None:
    """Return the function that turns a value of the field into JSON, or None if it is JSON as it stands."""
    if field.enum_type is not None:
        return _enum_names(field.enum_type)
    if field.type in SIXTY_FOUR_BITS:
        return str
    return _ENCODERS.get(field.type)


def number_json(value: float) -> float | str:
    """Return a double as JSON has it: what is no number by its name."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def single_json(value: float) -> float | str:
    """Return a 32-bit float with no more digits than it holds: 0.1 and not 0.10000000149011612."""
    if not math.isfinite(value):
        return number_json(value)
    for digits in (6, 7, 8):
        short = float(f"{value:.{digits}g}")
        if c_float(short).value == value:
            return short
    return float(f"{value:.9g}")


def octets_json(value: bytes) -> str:
    """Return bytes as base64."""
    return base64.b64encode(value).decode()


def _enum_names(enum: EnumDescriptor) -> Encoder:
    """Return names; a number that the contract does not know stays a number. NullValue is JSON's null."""
    if enum.full_name == "google.protobuf.NullValue":
        return lambda _: None
    names = {number: value.name for number, value in enum.values_by_number.items()}
    return lambda number: names.get(number, number)


_ENCODERS: Final[dict[int, Encoder]] = {
    FieldDescriptor.TYPE_BYTES: octets_json,
    FieldDescriptor.TYPE_DOUBLE: number_json,
    FieldDescriptor.TYPE_FLOAT: single_json,
}
