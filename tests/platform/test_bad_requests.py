"""One and the same change, asked for wrongly in every way: each gets the documented problem, and nothing is changed."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import jsonschema_rs
import psycopg
import pytest

from tests.conftest import AdminDsn, Join
from tests.platform.conftest import SignUp
from tests.platform.signed_in import SignedIn

PATH = "/v1/contacts/{id}"
BODY = {"title": "Buyer"}
KEY = "used-before"
STRANGER_ID = "01890000-0000-7000-8000-000000000000"


@dataclass(frozen=True)
class Scene:
    """A contact, the people around it, and what was asked of it under the used key."""

    owner: SignedIn
    reader: SignedIn
    stranger: SignedIn
    contact: dict[str, Any]
    stale: str


@dataclass(frozen=True)
class Wrong:
    """How one request differs from the right one, and what it is answered."""

    status: int
    code: str
    who: Callable[[Scene], SignedIn] = lambda scene: scene.owner
    contact_id: str = ""
    body: dict[str, Any] = field(default_factory=lambda: BODY)
    headers: Callable[[Scene], dict[str, str]] = lambda _: {}
    fields: tuple[str, ...] = ()
    permission: str = ""


WRONG = {
    "no token": Wrong(401, "TOKEN_MISSING", headers=lambda _: {"authorization": ""}),
    "a token that was altered": Wrong(401, "TOKEN_INVALID", headers=lambda scene: {"authorization": f"Bearer {scene.owner.person.token}x"}),
    "another tenant's id": Wrong(404, "NOT_FOUND", who=lambda scene: scene.stranger),
    "an id of nothing": Wrong(404, "NOT_FOUND", contact_id=STRANGER_ID),
    "an id that is none": Wrong(404, "NOT_FOUND", contact_id="1"),
    "a role that may only read": Wrong(403, "PERMISSION_MISSING", who=lambda scene: scene.reader, permission="CRM_CONTACTS_WRITE"),
    "a stale etag in the header": Wrong(412, "ETAG_MISMATCH", headers=lambda scene: {"if-match": scene.stale}),
    "a stale etag in the body": Wrong(409, "ETAG_MISMATCH", body={**BODY, "etag": '"1"'}),
    "an unknown field": Wrong(400, "UNKNOWN_FIELD", body={**BODY, "favouriteColour": "blue"}, fields=("favouriteColour",)),
    "a field of another type": Wrong(400, "FIELD_INVALID", body={"title": 5}, fields=("title",)),
    "a value that is too long": Wrong(400, "FIELD_INVALID", body={"title": "x" * 101}, fields=("title",)),
    "two wrong values": Wrong(
        400, "FIELD_INVALID", body={"emails": [{"address": "nobody"}], "tags": [""]}, fields=("emails[0].address", "tags[0]")
    ),
    "a body of two megabytes": Wrong(413, "BODY_TOO_LARGE", body={"title": "x" * 2_000_000}),
    "another media type": Wrong(415, "MEDIA_TYPE_UNSUPPORTED", headers=lambda _: {"content-type": "text/plain"}),
    "a used key with another body": Wrong(
        422, "IDEMPOTENCY_KEY_REUSED", body={"title": "Seller"}, headers=lambda _: {"idempotency-key": KEY}
    ),
    "a key that is none": Wrong(400, "BODY_INVALID", headers=lambda _: {"idempotency-key": "k" * 256}),
}


@pytest.fixture(scope="module")
async def scene(edge: httpx.AsyncClient, sign_up: SignUp, join: Join) -> Scene:
    owner, stranger = await sign_up(), await sign_up()
    reader = SignedIn(await join(owner.person, "read_only"), edge)
    made = await owner.post("/v1/contacts", {"givenName": "Given", "emails": [{"address": "given@example.com"}]})
    changed = await owner.call("PATCH", f"/v1/contacts/{made['id']}", json=BODY, headers={"idempotency-key": KEY})
    return Scene(owner, reader, stranger, changed.json(), made["etag"])


@pytest.fixture(scope="module")
async def openapi(edge: httpx.AsyncClient) -> dict[str, Any]:
    document: dict[str, Any] = (await edge.get("/openapi.json")).json()
    return document


async def traces(dsn: str, tenant_id: str) -> tuple[int, ...]:
    """Count what a change would leave behind in the service's database."""
    counts = []
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        for table in ("contacts", "outbox", "audit_log", "idempotency"):
            row = await (await connection.execute(f"SELECT count(*) FROM {table} WHERE tenant_id = %s".encode(), [tenant_id])).fetchone()
            counts.append(row[0] if row else -1)
    return tuple(counts)


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
async def test_it_is_refused_as_documented_and_changes_nothing(
    scene: Scene, openapi: dict[str, Any], admin_dsn: AdminDsn, wrong: Wrong
) -> None:
    tenant = scene.owner.person.tenant_id
    before = await traces(admin_dsn("crm"), tenant)
    headers = {"content-type": "application/json", **wrong.headers(scene)}
    path = PATH.format(id=wrong.contact_id or scene.contact["id"])
    answer = await send(scene, wrong, path, headers)
    said = answer.json()
    assert (answer.status_code, said["code"]) == (wrong.status, wrong.code), said
    assert answer.headers["content-type"] == "application/problem+json"
    assert said["status"] == wrong.status
    assert (said["request_id"], said["trace_id"]) == (answer.headers["x-request-id"], answer.headers["x-trace-id"])
    assert answer.headers.get("www-authenticate", "").startswith("Bearer") == (wrong.status == 401)
    assert said.get("metadata", {}).get("permission", "") == wrong.permission
    assert {each["field"] for each in said.get("fields", [])} == set(wrong.fields)
    assert str(wrong.status) in openapi["paths"][PATH]["patch"]["responses"]
    jsonschema_rs.validate(openapi["components"]["schemas"]["Problem"], said)
    assert await scene.owner.get(f"/v1/contacts/{scene.contact['id']}") == scene.contact
    assert await traces(admin_dsn("crm"), tenant) == before


async def send(scene: Scene, wrong: Wrong, path: str, headers: dict[str, str]) -> httpx.Response:
    """Send the request; an empty authorization means none at all."""
    if headers.get("authorization") == "":
        del headers["authorization"]
        return await scene.owner.edge.patch(path, json=wrong.body, headers=headers)
    return await wrong.who(scene).call("PATCH", path, json=wrong.body, headers=headers)


async def test_the_same_key_with_the_same_body_is_answered_again_and_changes_nothing(scene: Scene, admin_dsn: AdminDsn) -> None:
    before = await traces(admin_dsn("crm"), scene.owner.person.tenant_id)
    again = await scene.owner.call("PATCH", PATH.format(id=scene.contact["id"]), json=BODY, headers={"idempotency-key": KEY})
    assert (again.status_code, again.headers["idempotency-replayed"], again.json()) == (200, "true", scene.contact)
    assert await traces(admin_dsn("crm"), scene.owner.person.tenant_id) == before


async def test_the_right_request_changes_what_the_wrong_ones_did_not(scene: Scene, sign_up: SignUp, admin_dsn: AdminDsn) -> None:
    """The counts above would move if anything were done."""
    owner = await sign_up()
    made = await owner.post("/v1/contacts", {"givenName": "Given"})
    before = await traces(admin_dsn("crm"), owner.person.tenant_id)
    answer = await owner.call(
        "PATCH", f"/v1/contacts/{made['id']}", json=BODY, headers={"if-match": made["etag"], "idempotency-key": "new"}
    )
    assert (answer.status_code, answer.json()["title"]) == (200, "Buyer")
    after = await traces(admin_dsn("crm"), owner.person.tenant_id)
    assert [now - then for then, now in zip(before, after, strict=True)] == [0, 1, 1, 1]
