"""Every RPC of the contract, asked by one organisation with the ids of another one: there is nothing to be found."""

from dataclasses import dataclass
from typing import Any

import pytest

from stack.canary.requests import Probe, creates, names_ids, probe, reachable, rpc
from stack.canary.samples import COMPANY, CONTACT, SAMPLES
from stack.contract_check.image import Image, Method
from stack.generate import CONTRACT, ROOT
from tests.platform.conftest import SignUp
from tests.platform.signed_in import SignedIn

IMAGE = Image.read(ROOT / "gen" / CONTRACT)
METHODS = reachable(IMAGE)
KINDS = [*SAMPLES, "user", "tenant"]
COLLECTIONS = {kind: creates(IMAGE, kind).bindings[0].path for kind in SAMPLES}
LISTS = [method for method in METHODS if method.name.startswith("List")]
NOT_FOUND = 5
NO_PASSWORD = {"CREDENTIALS_WRONG", "SIGN_IN_SLOWED"}  # what is said to a request that shows none


@dataclass(frozen=True)
class Two:
    """Two organisations: the caller's, and another one with an id of each kind."""

    caller: SignedIn
    other: SignedIn
    ids: dict[str, str]

    async def ask(self, asked: Probe) -> tuple[int, Any]:
        answer = await self.caller.call(asked.verb, asked.path, params=asked.query, json=asked.body)
        is_json = answer.headers["content-type"].endswith("json")
        return answer.status_code, answer.json() if is_json else answer.text

    async def others(self) -> dict[str, Any]:
        """Return all that the other organisation has."""
        paths = [method.bindings[0].path + _all_rows(method) for method in LISTS]
        return {path: await self.other.get(path) for path in [*paths, "/v1/me"]}


def _all_rows(method: Method) -> str:
    """Return the query with which a list shows the deleted records too."""
    return "?showDeleted=true" if "show_deleted" in IMAGE.messages[method.input].fields else ""


@pytest.fixture(scope="module")
async def two(sign_up: SignUp) -> Two:
    caller, other = await sign_up(), await sign_up()
    for each in (caller, other):
        ids = {kind: (await each.post(COLLECTIONS[kind], sample))["id"] for kind, sample in SAMPLES.items()}
        employed = await each.call("PATCH", f"/v1/contacts/{ids[CONTACT]}", json={"companyId": ids[COMPANY]})
        assert employed.is_success, employed.text
    return Two(caller, other, ids | {"user": other.person.user_id, "tenant": other.person.tenant_id})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
async def test_another_tenants_id_is_not_found(two: Two, method: Method, kind: str) -> None:
    before = await two.others()
    foreign = two.ids[kind]
    status, said = await two.ask(probe(IMAGE, method, foreign, SAMPLES))
    if not names_ids(IMAGE, method):
        assert status == 200 or said["code"] in NO_PASSWORD
        assert all(identifier not in str(said) for identifier in two.ids.values())
    elif method.name.startswith("BatchGet"):
        assert (status, said.pop("missingIds"), list(said.values())) == (200, [foreign], [[]])
    elif method.name.startswith("Batch"):
        assert [result["status"]["code"] for result in said["results"]] == [NOT_FOUND]
    elif method.name.startswith("Stream"):
        assert (status, said["code"]) == (400, "FIELD_INVALID")
    elif method.name.startswith("Create"):
        assert status == 200 or (status, said["code"]) in {(400, "COMPANY_UNKNOWN"), (400, "OWNER_UNKNOWN"), (400, "FIELD_INVALID")}
        assert foreign not in str(said)
    else:
        assert (status, said["code"]) == (404, "NOT_FOUND")
    assert await two.others() == before


@pytest.mark.parametrize("reference", ["companyId", "ownerId"])
@pytest.mark.parametrize("kind", KINDS)
async def test_an_own_record_cannot_refer_to_another_tenants(two: Two, reference: str, kind: str) -> None:
    own = await two.caller.post("/v1/contacts", {"givenName": "Own"})
    answer = await two.caller.call("PATCH", f"/v1/contacts/{own['id']}", json={reference: two.ids[kind]})
    assert answer.status_code == 400
    assert await two.caller.get(f"/v1/contacts/{own['id']}") == own


@pytest.mark.parametrize("kind", KINDS)
async def test_a_filter_with_another_tenants_id_finds_nothing(two: Two, kind: str) -> None:
    for field in ("company_id", "owner_id"):
        found = await two.caller.get("/v1/contacts", filter=f'{field} = "{two.ids[kind]}"')
        assert found["contacts"] == []


async def test_what_the_matrix_leaves_out_acts_on_no_tenants_record(two: Two) -> None:
    left = [method for method in IMAGE.methods if method not in METHODS and not method.client_streams]
    assert {method.access for method in left} == {"public", "internal"}
    for method in left:
        if method.access == "internal":
            path = rpc(method)
            assert (await two.caller.call("POST", f"/{path}", json={})).status_code == 404
