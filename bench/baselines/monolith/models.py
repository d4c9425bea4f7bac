"""Tables as ORM classes."""

from datetime import datetime
from typing import Any, ClassVar, Final
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    DateTime,
    ForeignKeyConstraint,
    Identity,
    Index,
    Text,
    UniqueConstraint,
    func,
    literal_column,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

WORDS: Final[ColumnElement[Any]] = literal_column("(to_tsvector('simple', display_name) || to_tsvector('simple', emails))")
"""The words of a contact: an expression, so that rows need not carry them."""


class Base(DeclarativeBase):
    """Base of all tables; text stands for str, and aware timestamps for datetime."""

    type_annotation_map: ClassVar[dict[Any, Any]] = {
        str: Text,
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB,
        list[dict[str, Any]]: JSONB,
        list[str]: JSONB,
    }


class Company(Base):
    """An organisation that contacts work for."""

    __tablename__ = "companies"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]


class Contact(Base):
    """A person that a tenant knows."""

    __tablename__ = "contacts"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger)
    create_time: Mapped[datetime] = mapped_column(server_default=func.now())
    update_time: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())
    delete_time: Mapped[datetime | None]
    given_name: Mapped[str]
    family_name: Mapped[str]
    display_name: Mapped[str]
    emails: Mapped[list[dict[str, Any]]]
    phones: Mapped[list[dict[str, Any]]]
    title: Mapped[str]
    department: Mapped[str]
    company_id: Mapped[UUID | None]
    owner_id: Mapped[UUID]
    source: Mapped[str]
    status: Mapped[str]
    address: Mapped[dict[str, Any] | None]
    social_profiles: Mapped[list[dict[str, Any]]]
    tags: Mapped[list[str]]
    last_contacted_time: Mapped[datetime | None]
    __mapper_args__ = {"version_id_col": version, "eager_defaults": True}  # noqa: RUF012 - as SQLAlchemy declares it
    __table_args__ = (
        Index("contacts_by_create_time", "tenant_id", "create_time", "id"),
        Index("contacts_by_company", "tenant_id", "company_id"),
        Index("contacts_by_words", WORDS, postgresql_using="gin"),
        ForeignKeyConstraint(["tenant_id", "company_id"], ["companies.tenant_id", "companies.id"]),
    )


class OutboxEvent(Base):
    """An event that waits to be published."""

    __tablename__ = "outbox"

    position: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    tenant_id: Mapped[UUID]
    subject: Mapped[str]
    key: Mapped[UUID]
    payload: Mapped[dict[str, Any]]
    create_time: Mapped[datetime] = mapped_column(server_default=func.now())


class AuditEntry(Base):
    """Who did what, with the state before and after."""

    __tablename__ = "audit_log"

    position: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    tenant_id: Mapped[UUID]
    actor_id: Mapped[UUID]
    method: Mapped[str]
    resource_id: Mapped[UUID]
    before: Mapped[dict[str, Any] | None]
    after: Mapped[dict[str, Any] | None]
    create_time: Mapped[datetime] = mapped_column(server_default=func.now())


class IdempotencyRecord(Base):
    """The answer that a repeated key gets again."""

    __tablename__ = "idempotency"

    position: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    tenant_id: Mapped[UUID]
    actor_id: Mapped[UUID]
    method: Mapped[str]
    key: Mapped[str]
    request_hash: Mapped[str]
    answer: Mapped[dict[str, Any]]
    create_time: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (UniqueConstraint("tenant_id", "actor_id", "method", "key"),)
