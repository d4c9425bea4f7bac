"""The three endpoints: get a contact, list a page, add one."""

import base64
import hashlib
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import phonenumbers
from fastapi import APIRouter, Header, HTTPException, Query, Response, status
from sqlalchemy import select, tuple_
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from bench.baselines.monolith import models, schemas
from bench.baselines.monolith.database import Transaction
from bench.baselines.monolith.security import Caller, SignedIn

REGION: Final = "GB"
CREATE: Final = "contacts.create"

router = APIRouter(prefix="/v1/contacts")


@router.get("/{contact_id}")
async def get_contact(contact_id: UUID, caller: SignedIn, session: Transaction, response: Response) -> schemas.Contact:
    """Answer with one contact of the caller's tenant."""
    caller.require("contacts.read")
    contact = await session.scalar(select(models.Contact).filter_by(tenant_id=caller.tenant_id, id=contact_id))
    if contact is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, "no such contact")
    response.headers["ETag"] = f'"{contact.version}"'
    return schemas.Contact.model_validate(contact)


@router.get("")
async def list_contacts(
    caller: SignedIn,
    session: Transaction,
    page_size: Annotated[int, Query(alias="pageSize", ge=1, le=200)] = 20,
    page_token: Annotated[str, Query(alias="pageToken")] = "",
) -> schemas.ContactPage:
    """Answer with a page of the caller's contacts, the newest first."""
    caller.require("contacts.read")
    place = tuple_(models.Contact.create_time, models.Contact.id)
    query = select(models.Contact).where(models.Contact.tenant_id == caller.tenant_id, models.Contact.delete_time.is_(None))
    if page_token:
        query = query.where(place < _read_token(page_token))
    query = query.order_by(models.Contact.create_time.desc(), models.Contact.id.desc()).limit(page_size + 1)
    found = (await session.scalars(query)).all()
    shown = [schemas.Contact.model_validate(contact) for contact in found[:page_size]]
    return schemas.ContactPage(contacts=shown, next_page_token=_token(shown[-1]) if len(found) > page_size else "")


@router.post("")
async def create_contact(
    body: schemas.ContactBody,
    caller: SignedIn,
    session: Transaction,
    idempotency_key: Annotated[str | None, Header()] = None,
) -> schemas.Contact:
    """Add a contact with its event, its audit entry and its idempotency record in one commit."""
    caller.require("contacts.write")
    digest = hashlib.sha256(body.model_dump_json().encode()).hexdigest()
    if idempotency_key and (known := await _replay(session, caller, idempotency_key, digest)):
        return known
    contact = _new_contact(body, caller)
    session.add(contact)
    try:
        await session.flush()
    except IntegrityError:
        raise HTTPException(status.HTTP_400_BAD_REQUEST, "no such company") from None
    answer = schemas.Contact.model_validate(contact)
    _record(session, caller, answer, idempotency_key, digest)
    return answer


def _new_contact(body: schemas.ContactBody, caller: Caller) -> models.Contact:
    values = body.model_dump(mode="json", exclude={"company_id", "owner_id", "last_contacted_time"})
    values["phones"] = [_dialled(phone) for phone in values["phones"]]
    name = f"{body.given_name} {body.family_name}".strip()
    return models.Contact(
        **values,
        id=uuid7(),
        tenant_id=caller.tenant_id,
        display_name=name or next((email.address for email in body.emails), ""),
        company_id=body.company_id,
        owner_id=body.owner_id or caller.user_id,
        last_contacted_time=body.last_contacted_time,
    )


def _record(session: AsyncSession, caller: Caller, answer: schemas.Contact, key: str | None, digest: str) -> None:
    """Add the rows that stand beside every write."""
    shown = answer.model_dump(mode="json", by_alias=True)
    who = {"tenant_id": caller.tenant_id}
    session.add(models.OutboxEvent(**who, subject="crm.contact.created.v1", key=answer.id, payload=shown))
    session.add(models.AuditEntry(**who, actor_id=caller.user_id, method=CREATE, resource_id=answer.id, after=_redacted(shown)))
    if key:
        session.add(models.IdempotencyRecord(**who, actor_id=caller.user_id, method=CREATE, key=key, request_hash=digest, answer=shown))


async def _replay(session: AsyncSession, caller: Caller, key: str, digest: str) -> schemas.Contact | None:
    """Return the answer that the key already got; 422 when it was for another body."""
    record = await session.scalar(
        select(models.IdempotencyRecord).filter_by(tenant_id=caller.tenant_id, actor_id=caller.user_id, method=CREATE, key=key)
    )
    if record is None:
        return None
    if record.request_hash != digest:
        raise HTTPException(status.HTTP_422_UNPROCESSABLE_CONTENT, "the key was used for another request")
    return schemas.Contact.model_validate(record.answer)


def _dialled(phone: dict[str, Any]) -> dict[str, Any]:
    """Return a phone with the form in which it is dialled, where it has one."""
    try:
        parsed = phonenumbers.parse(phone["number"], REGION)
    except phonenumbers.NumberParseException:
        return phone
    valid = phonenumbers.is_valid_number(parsed)
    return phone | {"e164": phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164) if valid else ""}


def _redacted(shown: dict[str, Any]) -> dict[str, Any]:
    personal = {"givenName", "familyName", "displayName", "emails", "phones", "title", "address", "socialProfiles"}
    return {name: "***" if name in personal and value else value for name, value in shown.items()}


def _token(last: schemas.Contact) -> str:
    return base64.urlsafe_b64encode(f"{last.create_time.isoformat()} {last.id}".encode()).decode()


def _read_token(token: str) -> tuple[datetime, UUID]:
    try:
        moment, identity = base64.urlsafe_b64decode(token).decode().split(" ")
        return datetime.fromisoformat(moment), UUID(identity)
    except ValueError:
        raise HTTPException(status.HTTP_400_BAD_REQUEST, "the page token is not one of ours") from None
