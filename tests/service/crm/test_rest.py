"""Contacts and companies through the edge: the same promises in the words of HTTP."""

import uuid
from typing import Any
from urllib.parse import urlencode

import httpx
import orjson
import psycopg
import pytest

from chassis.json.encoders import GENERATED
from kith.crm.v1.contacts_pb2 import Contact, ListContactsRequest, ListContactsResponse
from tests.conftest import AdminDsn, Person
from tests.service.crm.conftest import MakeContact


@pytest.fixture
def call(edge: httpx.AsyncClient, owner: Person) -> Any:
    """`await call("POST", "/v1/contacts", {...})` as the owner."""

    async def send(method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await edge.request(method, path, json=body, headers={**owner.headers, **named})

    return send


async def test_a_contact_lives_through_rest(call: Any) -> None:
    made = await call("POST", "/v1/contacts", {"givenName": "Ann", "emails": [{"address": "Ann@EXAMPLE.com"}]})
    assert made.status_code == 200, made.text
    path = f"/v1/contacts/{made.json()['id']}"
    assert made.json()["emails"] == [{"address": "Ann@example.com", "label": ""}]
    changed = await call("PATCH", path, {"title": "Boss"})
    assert (changed.json()["title"], changed.json()["givenName"], changed.json()["etag"]) == ("Boss", "Ann", '"2"')
    got = await call("GET", path)
    assert (got.json(), got.headers["etag"]) == (changed.json(), '"2"')
    assert (await call("DELETE", path)).json() == {}
    assert (await call("GET", "/v1/contacts")).json()["contacts"] == []
    assert "deleteTime" in (await call("GET", path)).json()
    restored = (await call("POST", f"{path}:restore", {})).json()
    assert (restored["title"], restored["emails"], "deleteTime" in restored) == ("Boss", made.json()["emails"], False)
    assert [each["id"] for each in (await call("GET", "/v1/contacts")).json()["contacts"]] == [restored["id"]]


async def test_the_edge_answers_with_the_json_of_what_others_are_answered(call: Any, contacts: Any, make_contact: MakeContact) -> None:
    made = [
        await make_contact(given_name=name, emails=[{"address": f"{name}@x.io"}], address={"city": name}) for name in ("Ann", "Bo", "Cy")
    ]
    page = await call("GET", "/v1/contacts?pageSize=2")
    one = await call("GET", f"/v1/contacts/{made[0].id}")
    listed = await contacts.ListContacts(ListContactsRequest(page_size=2))
    assert page.content == orjson.dumps(GENERATED.message(ListContactsResponse.DESCRIPTOR)(listed))
    assert listed.next_page_token
    assert (one.content, one.headers["etag"]) == (orjson.dumps(GENERATED.message(Contact.DESCRIPTOR)(made[0])), made[0].etag)


async def test_the_request_id_that_is_answered_is_the_one_in_the_trail(call: Any, admin_dsn: AdminDsn) -> None:
    for given in ("mine", "job:7/retry.2"):
        made = await call("POST", "/v1/contacts", {"givenName": "Ann"}, x_request_id=given)
        async with await psycopg.AsyncConnection.connect(admin_dsn("crm")) as connection:
            query = "SELECT request_id FROM audit_log WHERE resource_id = %s"
            assert await (await connection.execute(query, [made.json()["id"]])).fetchall() == [(given,)]
        assert made.headers["x-request-id"] == given


async def test_a_stale_if_match_is_412_and_a_stale_etag_in_the_body_409(call: Any, owner: Person) -> None:
    made = (await call("POST", "/v1/contacts", {"givenName": "Ann"})).json()
    path = f"/v1/contacts/{made['id']}"
    await call("PATCH", path, {"title": "Boss"})
    for answer, code in (
        (await call("PATCH", path, {"title": "Clerk"}, if_match=made["etag"]), 412),
        (await call("PATCH", path, {"title": "Clerk", "etag": made["etag"]}), 409),
    ):
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (code, "ETAG_MISMATCH"), answer.text
        assert problem["metadata"] == {"etag": '"2"', "changedBy": owner.user_id, "changedFields": "title"}
    assert (await call("GET", path)).json()["title"] == "Boss"


async def test_a_mask_clears_a_field_through_rest(call: Any) -> None:
    made = (await call("POST", "/v1/contacts", {"givenName": "Ann", "title": "Boss", "tags": ["vip"]})).json()
    after = await call("PATCH", f"/v1/contacts/{made['id']}?updateMask=title,tags", {})
    assert (after.json()["title"], after.json()["tags"], after.json()["givenName"]) == ("", [], "Ann")


async def test_what_is_wrong_is_a_problem_document_with_the_field(call: Any) -> None:
    answer = await call("POST", "/v1/contacts", {"emails": [{"address": "ann"}]})
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert answer.json()["code"] == "FIELD_INVALID"
    assert "emails[0].address" in answer.text


async def test_a_filtered_list_is_read_page_by_page(call: Any) -> None:
    company = (await call("POST", "/v1/companies", {"name": "Acme"})).json()
    for number in range(20):
        await call("POST", "/v1/contacts", {"givenName": f"Contact {number:02}", "companyId": company["id"] if number % 2 else ""})
    query = {"pageSize": "3", "orderBy": "display_name desc", "filter": f"company_id = {company['id']}", "pageToken": ""}
    seen: list[str] = []
    while True:
        page = (await call("GET", f"/v1/contacts?{urlencode(query)}")).json()
        seen += [each["displayName"] for each in page["contacts"]]
        query["pageToken"] = page["nextPageToken"]
        if not query["pageToken"]:
            break
    assert seen == [f"Contact {number:02}" for number in range(19, 0, -2)]


async def test_batches_go_through_rest(call: Any) -> None:
    made = [(await call("POST", "/v1/companies", {"name": name})).json() for name in ("A", "B")]
    missing = str(uuid.uuid4())
    updates = [{"company": {"id": each, "industry": "Tools"}, "updateMask": "industry"} for each in (made[0]["id"], missing)]
    results = (await call("POST", "/v1/companies:batchUpdate", {"requests": updates})).json()["results"]
    assert (results[0]["company"]["industry"], results[1]["status"]["code"]) == ("Tools", 5)
    found = (await call("GET", f"/v1/companies:batchGet?ids={made[1]['id']}&ids={missing}")).json()
    assert ([each["id"] for each in found["companies"]], found["missingIds"]) == ([made[1]["id"]], [missing])


async def test_a_repeated_key_through_rest_says_that_it_was_replayed(call: Any) -> None:
    key = uuid.uuid4().hex
    first = await call("POST", "/v1/contacts", {"givenName": "Ann"}, idempotency_key=key)
    again = await call("POST", "/v1/contacts", {"givenName": "Ann"}, idempotency_key=key)
    assert again.json() == first.json()
    assert ("idempotency-replayed" in first.headers, again.headers["idempotency-replayed"]) == (False, "true")
    other = await call("POST", "/v1/contacts", {"givenName": "Bob"}, idempotency_key=key)
    assert (other.status_code, other.json()["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")


@pytest.mark.parametrize("value", ["a\0b", "a\ud800b"])
async def test_what_no_database_holds_is_refused(edge: httpx.AsyncClient, owner: Person, value: str) -> None:
    body = b'{"givenName": "a' + (b"\\u0000" if "\0" in value else b"\\ud800") + b'b"}'
    answer = await edge.post("/v1/contacts", content=body, headers={**owner.headers, "content-type": "application/json"})
    assert answer.status_code == 400
