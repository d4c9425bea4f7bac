"""Columns that tables of every service have in common, for stores and for the migrations that make these tables.

What a function returns never changes, for a migration must make tomorrow what it makes today: another column is another function.
"""

from typing import Any, Final

from sqlalchemy import BigInteger, Column, DateTime, Text, Uuid, text

from chassis.database.setting import TENANT

VERSION: Final = "version"
"""The column of a resource's version, which is its etag."""


def tenant_id() -> Column[Any]:
    """Return the column of the tenant; the database fills it, so that no statement can name another tenant by mistake."""
    return Column("tenant_id", Uuid(as_uuid=False), nullable=False, server_default=text(f"(current_setting('{TENANT}')::uuid)"))


def identifier(name: str) -> Column[Any]:
    """Return a column for an id that is always there."""
    return Column(name, Uuid(as_uuid=False), nullable=False)


def reference(name: str) -> Column[Any]:
    """Return a column for the id of something else, NULL where there is none."""
    return Column(name, Uuid(as_uuid=False))


def moment(name: str) -> Column[Any]:
    """Return a column for a time that is always there."""
    return Column(name, DateTime(timezone=True), nullable=False)


def word(name: str) -> Column[Any]:
    """Return a column for a text that is '' when it is not set, compared by code points: keys, states, what lists are sorted by."""
    return Column(name, Text(collation="C"), nullable=False)


def version() -> Column[Any]:
    """Return the column of the version, which counts the changes of a row."""
    return Column(VERSION, BigInteger, nullable=False)


def resource_columns() -> tuple[Column[Any], ...]:
    """Return the columns that every resource has (AIP-148): id, version (its etag), times of creation and last change."""
    return identifier("id"), version(), moment("create_time"), moment("update_time")
