"""Which column becomes which field: what the service proposes, and what somebody says instead."""

from collections.abc import Sequence
from typing import Any


class MappingError(Exception):
    """What somebody said about columns does not fit the file; the text says why."""


def mapped(columns: Sequence[dict[str, Any]], said: Sequence[str]) -> list[str]:
    """Return the field of each column; `said` are texts such as "Surname=family_name", with nothing behind "=" to leave one out."""
    wanted = dict(_read(each) for each in said)
    headers = [column["header"] for column in columns]
    unknown = [name for name in wanted if name not in headers]
    if unknown:
        raise MappingError(f"the file has no column {', '.join(unknown)}; it has {', '.join(headers)}")
    return [wanted.get(column["header"], column["field"]) for column in columns]


def _read(said: str) -> tuple[str, str]:
    column, between, field = said.rpartition("=")
    if not between:
        raise MappingError(f'"{said}" is not of the form COLUMN=FIELD')
    return column.strip(), field.strip()
