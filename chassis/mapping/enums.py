"""Enums as columns hold them: the value's name without the enum's prefix, in lower case."""

from google.protobuf.descriptor import EnumDescriptor


def enum_names(enum: EnumDescriptor) -> dict[int, str]:
    """Return the stored name of each value: CONTACT_STATUS_ACTIVE is "active"."""
    prefix = _prefix(enum)
    return {value.number: value.name.removeprefix(prefix).lower() for value in enum.values}


def enum_numbers(enum: EnumDescriptor) -> dict[str, int]:
    """Return the number of each stored name."""
    return {name: number for number, name in enum_names(enum).items()}


def _prefix(enum: EnumDescriptor) -> str:
    """Return what all value names of an enum start with: buf's ENUM_VALUE_PREFIX keeps it the enum's name in capitals."""
    zero = enum.values_by_number[0].name
    return str(zero.removesuffix("UNSPECIFIED"))
