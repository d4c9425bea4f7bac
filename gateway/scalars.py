"""Scalar values: JSON or text to what a message field takes."""

import base64
import binascii
import math
import re
from collections.abc import Callable
from ctypes import c_float
from typing import Any, Final

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor

from gateway.invalid import Invalid

Decoder = Callable[[Any], Any]

_INTEGER: Final = re.compile(r"-?(0|[1-9][0-9]*)")
_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_NAMED: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_EXACT: Final = 2**53
_LONGEST: Final = 20  # characters of the smallest 64-bit integer
_URLSAFE: Final = str.maketrans("-_", "+/")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]*")

_SIGNED_32: Final = (FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_SINT32, FieldDescriptor.TYPE_SFIXED32)
_UNSIGNED_32: Final = (FieldDescriptor.TYPE_UINT32, FieldDescriptor.TYPE_FIXED32)
_SIGNED_64: Final = (FieldDescriptor.TYPE_INT64, FieldDescriptor.TYPE_SINT64, FieldDescriptor.TYPE_SFIXED64)
_UNSIGNED_64: Final = (FieldDescriptor.TYPE_UINT64, FieldDescriptor.TYPE_FIXED64)

_RANGES: Final = (
    dict.fromkeys(_SIGNED_32, (-(2**31), 2**31 - 1))
    | dict.fromkeys(_UNSIGNED_32, (0, 2**32 - 1))
    | dict.fromkeys(_SIGNED_64, (-(2**63), 2**63 - 1))
    | dict.fromkeys(_UNSIGNED_64, (0, 2**64 - 1))
)


def decoder(field: FieldDescriptor) -> Decoder:
    """Return the function that turns a JSON value into a value of the field's scalar type."""
    if field.type in _RANGES:
        return _integer(*_RANGES[field.type])
    if field.enum_type is not None:
        return _enum(field.enum_type)
    return _SIMPLE[field.type]


def text_decoder(field: FieldDescriptor) -> Decoder:
    """Return the function that turns text (path, query, map key) into a value of the field's scalar type."""
    return boolean_text if field.type == FieldDescriptor.TYPE_BOOL else decoder(field)


def string(value: Any) -> str:
    """Take a string."""
    if type(value) is not str:
        raise Invalid("must be a string")
    return value


def boolean(value: Any) -> bool:
    """Take true or false."""
    if value is True or value is False:
        return bool(value)
    raise Invalid("must be true or false")


def boolean_text(value: str) -> bool:
    """Take the text true or false."""
    if value in {"true", "false"}:
        return value == "true"
    raise Invalid("must be true or false")


def double(value: Any) -> float:
    """Take a number, a number as text, or NaN and the infinities by their names."""
    if type(value) is float or type(value) is int:
        return float(value)
    if type(value) is str:
        if value in _NAMED:
            return _NAMED[value]
        if _NUMBER.fullmatch(value) and math.isfinite(number := float(value)):
            return number
    raise Invalid("must be a number")


def single(value: Any) -> float:
    """Take a number that fits in 32 bits."""
    number = double(value)
    if math.isfinite(number) and math.isinf(c_float(number).value):
        raise Invalid("is out of the range of a 32-bit float")
    return number


def octets(value: Any) -> bytes:
    """Take base64 of either alphabet, with padding or without."""
    if type(value) is not str:
        raise Invalid("must be a base64 string")
    plain = value.translate(_URLSAFE).rstrip("=")
    if not _BASE64.fullmatch(plain) or len(value) - len(plain) > -len(plain) % 4:
        raise Invalid("must be base64")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4))
    except binascii.Error:
        raise Invalid("must be base64") from None


def _integer(low: int, high: int) -> Decoder:
    def decode(value: Any) -> int:
        if type(value) is not int and not _is_whole(value):
            raise Invalid("must be a whole number")
        number = int(value)
        if low <= number <= high:
            return number
        raise Invalid(f"must be between {low} and {high}")

    return decode


def _is_whole(value: Any) -> bool:
    """Say whether text or a float means one whole number exactly."""
    if type(value) is str:
        return len(value) <= _LONGEST and _INTEGER.fullmatch(value) is not None
    return type(value) is float and value.is_integer() and abs(value) <= _EXACT


def _enum(enum: EnumDescriptor) -> Decoder:
    """Take a value by its name or by a number that the contract knows."""
    numbers = {value.name: value.number for value in enum.values}
    known = frozenset(numbers.values())
    integer = _integer(*_RANGES[FieldDescriptor.TYPE_INT32])

    def decode(value: Any) -> int:
        number = numbers.get(value) if type(value) is str else None
        if number is None:
            try:
                number = int(integer(value))
            except Invalid:
                number = None
        if number not in known:
            raise Invalid(f"must be one of {', '.join(numbers)}")
        return number

    return decode


_SIMPLE: Final[dict[int, Decoder]] = {
    FieldDescriptor.TYPE_STRING: string,
    FieldDescriptor.TYPE_BYTES: octets,
    FieldDescriptor.TYPE_BOOL: boolean,
    FieldDescriptor.TYPE_DOUBLE: double,
    FieldDescriptor.TYPE_FLOAT: single,
}
