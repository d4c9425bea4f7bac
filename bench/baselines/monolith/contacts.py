"""The endpoints: get a contact, list a page, search, add one, change one."""

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import phonenumbers
from fastapi import APIRouter, Header, HTTPException, Query, Response, status
from sqlalchemy import func, select, tuple_
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from bench.baselines.monolith import models, schemas
from bench.baselines.monolith.database import Transaction
from bench.baselines.monolith.security import Caller, SignedIn

REGION: Final = "GB"
CREATE: Final = "contacts.create"
UPDATE: Final = "contacts.update"
MOST_WORDS: Final = 8

router = APIRouter(prefix="/v1")


@dataclass(frozen=True)
class Write:
    """What a write did, for the rows beside it."""

    method: str
    subject: str
    before: schemas.Contact | None
    after: schemas.Contact


@router.get("/search")
async def search(caller: SignedIn, session: Transaction, query: Annotated[str, Query(max_length=200)]) -> schemas.SearchPage:
    """Answer with up to 20 contacts that have all words of the query, or words that begin with them."""
    caller.require("contacts.read")
    words = re.findall(r"\w+", query.casefold())[:MOST_WORDS]
    if not words:
        return schemas.SearchPage(results=[])
    wanted = func.to_tsquery("simple", " & ".join(f"{word}:*" for word in words))
    columns = (models.Contact.id, models.Contact.display_name, models.Contact.title)
    statement = select(*columns).where(models.Contact.tenant_id == caller.tenant_id, models.Contact.delete_time.is_(None))
    found = await session.execute(statement.where(models.WORDS.op("@@")(wanted)).order_by(models.Contact.create_time.desc()).limit(20))
    return schemas.SearchPage(results=[schemas.SearchResult(id=id_, title=name, subtitle=title) for id_, name, title in found])


@router.get("/contacts/{contact_id}")
async def get_contact(contact_id: UUID, caller: SignedIn, session: Transaction, response: Response) -> schemas.Contact:
    """Answer with one contact of the caller's tenant."""
    caller.require("contacts.read")
    contact = await session.scalar(select(models.Contact).filter_by(tenant_id=caller.tenant_id, id=contact_id))
    if contact is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, "no such contact")
    response.headers["ETag"] = f'"{contact.version}"'
    return schemas.Contact.model_validate(contact)


@router.get("/contacts")
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


@router.post("/contacts")
async def create_contact(
    body: schemas.ContactBody,
    caller: SignedIn,
    session: Transaction,
    idempotency_key: Annotated[str | None, Header()] = None,
) -> schemas.Contact:
    """Add a contact with its event, its audit entry and its idempotency record in one commit."""
    caller.require("contacts.write")
    digest = hashlib.sha256(body.model_dump_json().encode()).hexdigest()
    if idempotency_key and (known := await _replay(session, caller, CREATE, idempotency_key, digest)):
        return known
    contact = _new_contact(body, caller)
    session.add(contact)
    await _flush(session)
    write = Write(CREATE, "crm.contact.created.v1", before=None, after=schemas.Contact.model_validate(contact))
    _record(session, caller, write, idempotency_key, digest)
    return write.after


@router.patch("/contacts/{contact_id}")
async def update_contact(
    contact_id: UUID,
    body: schemas.ContactChange,
    caller: SignedIn,
    session: Transaction,
    idempotency_key: Annotated[str | None, Header()] = None,
) -> schemas.Contact:
    """Change the fields that were sent, with the event, the audit entry and the idempotency record in the same commit."""
    caller.require("contacts.write")
    digest = hashlib.sha256(f"{contact_id} {body.model_dump_json(exclude_unset=True)}".encode()).hexdigest()
    if idempotency_key and (known := await _replay(session, caller, UPDATE, idempotency_key, digest)):
        return known
    query = select(models.Contact).filter_by(tenant_id=caller.tenant_id, id=contact_id, delete_time=None).with_for_update()
    contact = await session.scalar(query)
    if contact is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, "no such contact")
    before = schemas.Contact.model_validate(contact)
    _change(contact, body)
    await _flush(session)
    write = Write(UPDATE, "crm.contact.updated.v1", before=before, after=schemas.Contact.model_validate(contact))
    _record(session, caller, write, idempotency_key, digest)
    return write.after


def _new_contact(body: schemas.ContactBody, caller: Caller) -> models.Contact:
    values = body.model_dump(mode="json", exclude={"company_id", "owner_id", "last_contacted_time"})
    values["phones"] = [_dialled(phone) for phone in values["phones"]]
    return models.Contact(
        **values,
        id=uuid7(),
        tenant_id=caller.tenant_id,
        display_name=_display_name(values),
        company_id=body.company_id,
        owner_id=body.owner_id or caller.user_id,
        last_contacted_time=body.last_contacted_time,
    )


def _change(contact: models.Contact, body: schemas.ContactChange) -> None:
    """Set the fields that were sent, and what follows from them."""
    changed = body.changed()
    if "phones" in changed:
        changed["phones"] = [_dialled(phone) for phone in changed["phones"]]
    for name, value in changed.items():
        setattr(contact, name, value)
    if changed.keys() & {"given_name", "family_name", "emails"}:
        contact.display_name = _display_name(vars(contact))


def _display_name(values: Mapping[str, Any]) -> str:
    name = f"{values['given_name']} {values['family_name']}".strip()
    return name or next((str(email["address"]) for email in values["emails"]), "")


async def _flush(session: AsyncSession) -> None:
    try:
        await session.flush()
    except IntegrityError:
        raise HTTPException(status.HTTP_400_BAD_REQUEST, "no such company") from None


def _record(session: AsyncSession, caller: Caller, write: Write, key: str | None, digest: str) -> None:
    """Add the rows that stand beside every write."""
    shown = write.after.model_dump(mode="json", by_alias=True)
    before = _redacted(write.before.model_dump(mode="json", by_alias=True)) if write.before else None
    who = {"tenant_id": caller.tenant_id}
    did = {**who, "actor_id": caller.user_id, "method": write.method}
    session.add(models.OutboxEvent(**who, subject=write.subject, key=write.after.id, payload=shown))
    session.add(models.AuditEntry(**did, resource_id=write.after.id, before=before, after=_redacted(shown)))
    if key:
        session.add(models.IdempotencyRecord(**did, key=key, request_hash=digest, answer=shown))


async def _replay(session: AsyncSession, caller: Caller, method: str, key: str, digest: str) -> schemas.Contact | None:
    """Return the answer that the key already got; 422 when it was for another body."""
    record = await session.scalar(
        select(models.IdempotencyRecord).filter_by(tenant_id=caller.tenant_id, actor_id=caller.user_id, method=method, key=key)
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
