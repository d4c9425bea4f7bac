"""The OpenAPI document and the reference page."""

from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from chassis import contract as contracts
from gateway.contract import Contract
from gateway.openapi import document
from tests.gateway.shop.client import Client


@pytest.fixture(scope="module")
async def openapi(call: Client) -> Any:
    return (await call("GET", "/openapi.json")).json


async def test_the_document_is_valid(openapi: Any) -> None:
    assert list(OpenAPIV31SpecValidator(openapi).iter_errors()) == []


def test_the_document_of_the_real_contract_is_valid_and_whole() -> None:
    contract = Contract(contracts.image())
    found = document(contract, "https://kith.test")
    assert list(OpenAPIV31SpecValidator(found).iter_errors()) == []
    shown = {operation["x-kith-rpc"] for item in found["paths"].values() for operation in item.values()}
    assert shown == {method.path for method in contract.methods}
    assert all(operation["description"] and operation["summary"] for item in found["paths"].values() for operation in item.values())


def test_every_field_and_reason_of_the_real_contract_is_explained() -> None:
    found = document(Contract(contracts.image()), "https://kith.test")
    silent = [
        (name, field)
        for name, schema in found["components"]["schemas"].items()
        for field, shape in schema.get("properties", {}).items()
        if name.startswith(("crm.", "identity.")) and "description" not in shape
    ]
    assert silent == []
    reasons = found["components"]["schemas"]["Problem"]["properties"]["code"]["x-kith-reasons"]
    assert [reason for reason, text in reasons.items() if not text] == []


async def test_paths_of_one_shape_are_one(openapi: Any) -> None:
    shelf = openapi["paths"]["/v1/shelves/{id}"]
    assert shelf.keys() == {"get", "patch", "put", "delete"}
    assert [parameter["name"] for parameter in shelf["patch"]["parameters"] if parameter["in"] == "path"] == ["id"]
    assert "/v1/{name}" in openapi["paths"]
    assert "/v1/files/{name}/meta" in openapi["paths"]


async def test_internal_and_unbound_calls_are_not_shown(openapi: Any) -> None:
    assert not [path for path in openapi["paths"] if "hidden" in path]


async def test_the_contract_speaks(openapi: Any) -> None:
    get = openapi["paths"]["/v1/shelves/{id}"]["get"]
    assert get["description"] == "GetShelf answers with a shelf.\n\nNeeds the permission `CRM_CONTACTS_READ`. Rate tier: `READ`."
    assert (get["x-kith-permission"], get["x-kith-rate-tier"], get["security"]) == ("CRM_CONTACTS_READ", "READ", [{"accessToken": []}])
    shelf = openapi["components"]["schemas"]["shop.Shelf"]
    assert (shelf["required"], shelf["properties"]["createTime"]["readOnly"]) == (["displayName"], True)
    assert shelf["properties"]["place"] == {"$ref": "#/components/schemas/shop.Place", "description": "Place of the shelf."}
    assert openapi["components"]["schemas"]["shop.Color"]["enum"] == ["COLOR_UNSPECIFIED", "COLOR_RED", "COLOR_BLUE"]


async def test_what_a_call_takes_is_shown(openapi: Any) -> None:
    create = openapi["paths"]["/v1/shelves"]["post"]
    assert {(each["in"], each["name"]) for each in create["parameters"]} >= {("query", "validateOnly"), ("header", "Idempotency-Key")}
    assert create["requestBody"]["required"] is True
    assert "422" in create["responses"]
    patch = openapi["paths"]["/v1/shelves/{id}"]["patch"]
    assert {(each["in"], each["name"]) for each in patch["parameters"]} >= {("query", "updateMask"), ("header", "If-Match")}
    assert "412" in patch["responses"]
    refresh = openapi["paths"]["/v1/auth:refresh"]["post"]["parameters"]
    assert {(each["in"], each["name"]) for each in refresh} == {("cookie", "__Host-rt"), ("header", "X-CSRF")}
    names = {each["name"] for each in openapi["paths"]["/v1/shelves"]["get"]["parameters"]}
    assert names >= {"aString", "words", "place.room", "at", "mask", "stringValue", "oddName", "times"}
    assert not names & {"struct", "counts", "children", "any", "values"}


async def test_streams_and_raw_bytes_are_shown(openapi: Any) -> None:
    watch = openapi["paths"]["/v1/shelves:watch"]["get"]["responses"]["200"]["content"]
    assert watch.keys() == {"text/event-stream", "application/jsonl"}
    assert openapi["paths"]["/v1/raw/{name}"]["put"]["requestBody"]["content"].keys() == {"*/*"}
    assert openapi["paths"]["/v1/tags"]["put"]["responses"]["200"]["content"]["application/json"]["schema"]["type"] == "array"


async def test_the_page_needs_nothing_from_elsewhere(call: Client) -> None:
    page = await call("GET", "/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    for asset in ("/docs/reference.js", "/docs/reference.css", "/docs"):
        answer = await call("GET", asset)
        assert (answer.status, b"http://" in answer.body, b"https://" in answer.body, b"innerHTML" in answer.body) == (
            200,
            False,
            False,
            False,
        )


async def test_pages_take_reads_only(call: Client) -> None:
    assert (await call("HEAD", "/docs")).body == b""
    assert (await call("POST", "/docs")).code == "METHOD_NOT_ALLOWED"
    assert (await call("OPTIONS", "/livez")).headers["allow"] == "GET, HEAD, OPTIONS"
