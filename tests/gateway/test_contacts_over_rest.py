"""The real platform through the edge: the same request done right and wrong (each wrong one changes nothing)."""

import secrets
import uuid
from typing import Any

import httpx
import pytest

from tests.conftest import Join, Person, Register


@pytest.fixture(scope="module")
async def owner(register: Register) -> Person:
    return await register()


async def create(edge: httpx.AsyncClient, person: Person, **fields: Any) -> dict[str, Any]:
    answer = await edge.post("/v1/contacts", json={"givenName": "Given", **fields}, headers=person.headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert (answer.status_code, found["code"], found["status"]) == (status, code, status)
    assert found["request_id"] == answer.headers["x-request-id"]
    assert found["trace_id"] == answer.headers["x-trace-id"]
    return found


async def test_a_contact_from_its_making_to_its_return(edge: httpx.AsyncClient, owner: Person) -> None:
    made = await create(edge, owner, emails=[{"address": "a@example.com", "label": "work"}])
    path = f"/v1/contacts/{made['id']}"
    got = await edge.get(path, headers=owner.headers)
    assert (got.json(), got.headers["etag"]) == (made, made["etag"])
    changed = await edge.patch(path, json={"title": "Pilot"}, headers=owner.headers | {"if-match": made["etag"]})
    assert (changed.json()["title"], changed.json()["emails"], changed.json()["etag"] == made["etag"]) == ("Pilot", made["emails"], False)
    assert (await edge.delete(path, headers=owner.headers)).json() == {}
    assert "deleteTime" in (await edge.get(path, headers=owner.headers)).json()
    assert "deleteTime" not in (await edge.post(f"{path}:restore", json={}, headers=owner.headers)).json()
    listed = await edge.get("/v1/contacts", params={"pageSize": 50}, headers=owner.headers)
    assert made["id"] in [each["id"] for each in listed.json()["contacts"]]


async def test_no_token(edge: httpx.AsyncClient) -> None:
    answer = await edge.post("/v1/contacts", json={"givenName": "x"})
    refused(answer, 401, "TOKEN_MISSING")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    refused(await edge.get("/v1/me", headers={"authorization": "Bearer nonsense"}), 401, "TOKEN_INVALID")


async def test_another_tenants_id(edge: httpx.AsyncClient, owner: Person, register: Register) -> None:
    made = await create(edge, owner)
    stranger = await register()
    path = f"/v1/contacts/{made['id']}"
    refused(await edge.get(path, headers=stranger.headers), 404, "NOT_FOUND")
    refused(await edge.patch(path, json={"title": "x"}, headers=stranger.headers), 404, "NOT_FOUND")
    assert (await edge.get(path, headers=owner.headers)).json() == made


async def test_a_permission_that_is_missing(edge: httpx.AsyncClient, owner: Person, join: Join) -> None:
    reader = await join(owner, "read_only")
    found = refused(await edge.post("/v1/contacts", json={"givenName": "x"}, headers=reader.headers), 403, "PERMISSION_MISSING")
    assert found["metadata"] == {"permission": "CRM_CONTACTS_WRITE"}


async def test_a_stale_etag(edge: httpx.AsyncClient, owner: Person) -> None:
    made = await create(edge, owner)
    path = f"/v1/contacts/{made['id']}"
    await edge.patch(path, json={"title": "first"}, headers=owner.headers)
    refused(await edge.patch(path, json={"title": "late"}, headers=owner.headers | {"if-match": made["etag"]}), 412, "ETAG_MISMATCH")
    refused(await edge.patch(path, json={"title": "late", "etag": made["etag"]}, headers=owner.headers), 409, "ETAG_MISMATCH")
    assert (await edge.get(path, headers=owner.headers)).json()["title"] == "first"


async def test_an_unknown_field_and_a_wrong_one(edge: httpx.AsyncClient, owner: Person) -> None:
    unknown = refused(await edge.post("/v1/contacts", json={"nosuch": 1}, headers=owner.headers), 400, "UNKNOWN_FIELD")
    assert unknown["fields"][0]["field"] == "nosuch"
    wrong = await edge.post("/v1/contacts", json={"emails": [{"address": "no address"}]}, headers=owner.headers)
    assert refused(wrong, 400, "FIELD_INVALID")["fields"][0]["field"] == "emails[0].address"


async def test_a_body_of_two_megabytes(edge: httpx.AsyncClient, owner: Person) -> None:
    refused(await edge.post("/v1/contacts", json={"givenName": "x" * 2_000_000}, headers=owner.headers), 413, "BODY_TOO_LARGE")


async def test_a_repeated_key(edge: httpx.AsyncClient, owner: Person) -> None:
    headers = owner.headers | {"idempotency-key": uuid.uuid4().hex}
    first = await edge.post("/v1/contacts", json={"givenName": "Once"}, headers=headers)
    again = await edge.post("/v1/contacts", json={"givenName": "Once"}, headers=headers)
    assert (again.json(), again.headers["idempotency-replayed"]) == (first.json(), "true")
    assert "idempotency-replayed" not in first.headers
    refused(await edge.post("/v1/contacts", json={"givenName": "Twice"}, headers=headers), 422, "IDEMPOTENCY_KEY_REUSED")


async def test_a_browser_keeps_its_session_in_a_cookie(edge: httpx.AsyncClient) -> None:
    public = (await edge.get("/openapi.json")).json()["servers"][0]["url"]
    page = {"x-csrf": "1", "origin": public, "sec-fetch-site": "same-origin", "content-type": "application/json"}
    body = {
        "organisation": "Organisation",
        "email": f"owner-{uuid.uuid4().hex}@example.com",
        "password": secrets.token_urlsafe(24),
        "name": "Test Owner",
    }
    registered = await edge.post("/v1/auth:register", json=body, headers=page)
    assert "refreshToken" not in registered.json()
    cookie = registered.headers["set-cookie"].partition(";")[0]
    assert cookie.startswith("__Host-rt=")
    refreshed = await edge.post("/v1/auth:refresh", headers=page | {"cookie": cookie})
    assert refreshed.status_code == 200, refreshed.text
    assert refreshed.headers["set-cookie"].partition(";")[0] != cookie
    refused(await edge.post("/v1/auth:refresh", headers=page | {"cookie": cookie, "origin": "https://evil.test"}), 403, "ORIGIN_REFUSED")
    out = await edge.post("/v1/auth:signOut", headers=page | {"cookie": refreshed.headers["set-cookie"].partition(";")[0]})
    assert (out.status_code, "Max-Age=0" in out.headers["set-cookie"]) == (200, True)


async def test_the_key_set_is_public(edge: httpx.AsyncClient) -> None:
    for path in ("/v1/auth/keys", "/.well-known/jwks.json"):
        answer = await edge.get(path)
        assert (answer.status_code, len(answer.json()["keys"]) > 0) == (200, True)
