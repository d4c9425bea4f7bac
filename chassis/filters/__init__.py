"""Filters of lists in the language of AIP-160: text -> syntax tree -> SQLAlchemy conditions over declared fields.

Only operators that PostgreSQL knows as leakproof come out, since under row level security all others switch indices off.
"""

from chassis.filters.conditions import Fields, Filter, outline
from chassis.filters.fields import Field, boolean, enum, integer, key, text, timestamp, uuid

__all__ = ["Field", "Fields", "Filter", "boolean", "enum", "integer", "key", "outline", "text", "timestamp", "uuid"]
