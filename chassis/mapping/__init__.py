"""Rows, messages and JSON: three forms of the same resource, compiled from the table and the message."""

from chassis.database.columns import VERSION
from chassis.mapping.enums import enum_names, enum_numbers
from chassis.mapping.resources import Mapping

__all__ = ["VERSION", "Mapping", "enum_names", "enum_numbers"]
