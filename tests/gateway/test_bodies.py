"""Bodies: JSON to messages."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.gateway.shop.client import Client
from tests.gateway.shop.service import Shop


async def test_a_field_takes_the_body(call: Client, shop: Shop) -> None:
    body = {"displayName": "x", "place": {"floor": 3}, "tags": ["a"], "labels": {"k": "v"}, "extra": {"n": [1, None, {"b": True}]}}
    assert (await call("POST", "/v1/shelves?validateOnly=true", body)).status == 200
    shelf = shop.last.shelf
    assert (shelf.display_name, shelf.place.floor, list(shelf.tags), dict(shelf.labels)) == ("x", 3, ["a"], {"k": "v"})
    assert shop.last.validate_only is True
    assert shelf.extra.fields["n"].list_value.values[0].number_value == 1


async def test_an_empty_body_is_an_empty_message(call: Client, shop: Shop) -> None:
    assert (await call("POST", "/v1/echo")).status == 200
    assert (await call("POST", "/v1/shelves")).status == 200
    assert shop.last.HasField("shelf")


async def test_a_list_can_be_the_root(call: Client, shop: Shop) -> None:
    answer = await call("PUT", "/v1/tags", ["a", "b"])
    assert answer.json == ["a", "b"] == list(shop.last.tags)
    assert (await call("PUT", "/v1/tags", {"tags": []})).status == 400


async def test_raw_bytes_pass_as_they_are(call: Client, shop: Shop) -> None:
    answer = await call("PUT", "/v1/raw/n?kind=k", b"\x00\xff", headers={"content-type": "image/png"})
    assert (answer.body, answer.headers["content-type"]) == (b"\x00\xff", "image/png")
    assert (shop.last.name, shop.last.kind) == ("n", "k")


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/shelves/1"), ("DELETE", "/v1/shelves/1"), ("POST", "/v1/shelves/1:touch"), ("GET", "/v1/shelves")]
)
async def test_a_body_without_a_place_is_refused(call: Client, method: str, path: str) -> None:
    answer = await call(method, path, {"id": "x"}, headers={"authorization": "Bearer t/u"})
    assert (answer.status, answer.code) == (400, "BODY_INVALID")


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        (b'{"nosuch": 1}', "UNKNOWN_FIELD", "nosuch"),
        (b'{"child": {"children": [{}, {"nosuch": 1}]}}', "UNKNOWN_FIELD", "child.children[1].nosuch"),
        (b'{"aString": "x", "aString": "y"}', "BODY_INVALID", None),
        (b'{"child": {"words": ["a:b"], "words": []}}', "BODY_INVALID", None),
        (b'{"aString": "\\u0041", "aString": "y"}', "BODY_INVALID", None),
        (b'{"aString": "x", "a_string": "y"}', "FIELD_INVALID", "a_string"),
        (b"{} x", "BODY_INVALID", None),
        (b"{", "BODY_INVALID", None),
        (b"\xef\xbb\xbf{}", "BODY_INVALID", None),
        (b'{"words": ["a", null]}', "FIELD_INVALID", "words[1]"),
        (b'{"children": [null]}', "FIELD_INVALID", "children[0]"),
        (b'{"counts": {"x": null}}', "FIELD_INVALID", "counts[x]"),
        (b'{"aDouble": NaN}', "BODY_INVALID", None),
        (b'{"aDouble": 1e999}', "BODY_INVALID", None),
        (b'{"aString": "\\ud800"}', "BODY_INVALID", None),
        (b'{"aString": "\\u0000"}', "BODY_INVALID", None),
        (b'{"struct": {"\\u0000": 1}}', "BODY_INVALID", None),
        (b'{"aString": 1}', "FIELD_INVALID", "a_string"),
        (b'{"aBool": "true"}', "FIELD_INVALID", "a_bool"),
        (b'{"aBool": 1}', "FIELD_INVALID", "a_bool"),
        (b'{"anInt32": true}', "FIELD_INVALID", "an_int32"),
        (b'{"anInt32": 1.5}', "FIELD_INVALID", "an_int32"),
        (b'{"anInt32": 2147483648}', "FIELD_INVALID", "an_int32"),
        (b'{"anInt64": 9223372036854775808}', "FIELD_INVALID", "an_int64"),
        (b'{"anInt64": 1e18}', "FIELD_INVALID", "an_int64"),
        (b'{"aFloat": 1e39}', "FIELD_INVALID", "a_float"),
        (b'{"color": "RED"}', "FIELD_INVALID", "color"),
        (b'{"color": 3}', "FIELD_INVALID", "color"),
        (b'{"color": true}', "FIELD_INVALID", "color"),
        (b'{"words": "a"}', "FIELD_INVALID", "words"),
        (b'{"child": []}', "FIELD_INVALID", "child"),
        (b'{"counts": []}', "FIELD_INVALID", "counts"),
        (b'{"places": {"x": {}}}', "FIELD_INVALID", "places[x]"),
        (b'{"flags": {"True": 1}}', "FIELD_INVALID", "flags[True]"),
        (b'{"left": "a", "right": 1}', "FIELD_INVALID", "right"),
        (b'{"at": {"seconds": 1}}', "FIELD_INVALID", "at"),
        (b'{"struct": []}', "FIELD_INVALID", "struct"),
        (b'{"list": {}}', "FIELD_INVALID", "list"),
        (b'{"any": {"x": 1}}', "FIELD_INVALID", "any.@type"),
        (b'{"any": {"@type": "type.googleapis.com/no.Such"}}', "FIELD_INVALID", "any.@type"),
        (b'{"any": 1}', "FIELD_INVALID", "any"),
        (b'{"nullValue": "x"}', "FIELD_INVALID", "null_value"),
        (b"[]", "FIELD_INVALID", None),
        (b'""', "FIELD_INVALID", None),
        (b"null", "FIELD_INVALID", None),
    ],
)
async def test_a_body_that_the_contract_does_not_allow_is_refused(
    call: Client, shop: Shop, body: bytes, code: str, field: str | None
) -> None:
    before = len(shop.seen)
    answer = await call("POST", "/v1/echo", body)
    assert (answer.status, answer.code) == (400, code), answer.body
    assert (answer.json["fields"][0]["field"] if field else answer.json.get("fields")) == field
    assert len(shop.seen) == before


async def test_keys_in_nested_objects_are_counted_right_whatever_their_text(call: Client) -> None:
    body = b'{"words": [":", "a:b:c", "{[", "\\":\\""], "struct": {"a:": ":", "b": {"c": "\\u003a"}}, "at": "1970-01-01T00:00:00Z"}'
    assert (await call("POST", "/v1/echo", body)).status == 200


@pytest.mark.parametrize("depth", [100, 101, 1020, 200_000])
async def test_deep_nesting_is_refused_and_no_crash(call: Client, depth: int) -> None:
    lists = b'{"value":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"
    answer = await call("POST", "/v1/echo", lists)
    assert answer.status == (400 if depth > 100 else answer.status)
    if depth > 100:
        assert answer.code == "BODY_INVALID"


async def test_nesting_that_the_wire_takes_is_taken(call: Client) -> None:
    assert (await call("POST", "/v1/echo", b'{"child":' * 40 + b"{}" + b"}" * 40)).status == 200


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"', None])
async def test_json_in_utf8_is_taken(call: Client, kind: str | None) -> None:
    assert (await call("POST", "/v1/echo", {}, headers={"content-type": kind} if kind else {})).status == 200


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/xml", "application/json; charset=latin-1", "application/x-www-form-urlencoded", ""]
)
async def test_any_other_media_type_is_refused(call: Client, kind: str) -> None:
    answer = await call("POST", "/v1/echo", {}, headers={"content-type": kind})
    assert (answer.status, answer.code) == (415, "MEDIA_TYPE_UNSUPPORTED")


async def test_a_body_may_name_the_id_of_the_path_and_no_other(call: Client, shop: Shop) -> None:
    assert (await call("PATCH", "/v1/shelves/1", {"id": "1", "displayName": "x"})).status == 200
    assert (await call("POST", "/v1/shelves/1:archive", {"id": ""})).status == 200
    assert shop.last.id == "1"
    answer = await call("PATCH", "/v1/shelves/1", {"id": "2"})
    assert (answer.status, answer.json["fields"][0]["field"]) == (400, "shelf.id")
    assert (await call("POST", "/v1/shelves/1:archive", {"id": "2"})).status == 400


@pytest.mark.parametrize(
    ("body", "paths"),
    [
        ({"displayName": "x"}, ["display_name"]),
        ({"id": "1", "etag": '"7"', "note": None}, ["note"]),
        ({"place": {"floor": 1}, "tags": [], "labels": {"a": "b"}, "extra": {"x": {}}}, ["place.floor", "tags", "labels", "extra"]),
        ({"place": {}}, ["place"]),
        ({"place": None}, ["place"]),
        ({"createTime": "1970-01-01T00:00:00Z"}, ["create_time"]),
        ({}, []),
    ],
)
async def test_a_patch_changes_what_its_body_names(call: Client, shop: Shop, body: Any, paths: list[str]) -> None:
    assert (await call("PATCH", "/v1/shelves/1", body)).status == 200
    assert list(shop.last.update_mask.paths) == paths


async def test_an_explicit_mask_stays_as_it_is(call: Client, shop: Shop) -> None:
    assert (await call("PATCH", "/v1/shelves/1?updateMask=note,displayName", {"tags": ["a"]})).status == 200
    assert list(shop.last.update_mask.paths) == ["note", "display_name"]
    assert (await call("PATCH", "/v1/shelves/1?update_mask=*", {"tags": ["a"]})).status == 200
    assert list(shop.last.update_mask.paths) == ["*"]


async def test_a_put_derives_no_mask(call: Client, shop: Shop) -> None:
    assert (await call("PUT", "/v1/shelves/1", {"tags": ["a"]})).status == 200
    assert not shop.last.HasField("update_mask")


async def test_a_body_of_more_than_a_mebibyte_is_refused(call: Client, shop: Shop) -> None:
    before = len(shop.seen)
    big = b'{"aString": "' + b"x" * (2 * 1024 * 1024) + b'"}'
    assert (await call("POST", "/v1/echo", big)).code == "BODY_TOO_LARGE"
    answer = await call("POST", "/v1/echo", chunks=[big[:600_000], big[600_000:1_200_000], big[1_200_000:]])
    assert (answer.status, answer.code, len(shop.seen)) == (413, "BODY_TOO_LARGE", before)


async def test_a_slow_body_is_given_up(edge_with: Callable[..., Client]) -> None:
    hasty = edge_with(body_seconds=0.3)
    answer = await hasty("POST", "/v1/echo", chunks=[b"{", b" ", b" ", b" ", b"}"], pause=0.1)
    assert (answer.status, answer.code, answer.headers["connection"]) == (408, "DEADLINE_EXCEEDED", "close")


async def test_a_client_that_leaves_gets_nothing(call: Client) -> None:
    assert (await call("POST", "/v1/echo", chunks=[b"{"], leave=True)).status == 499


async def test_a_body_in_pieces_is_one_body(call: Client, shop: Shop) -> None:
    assert (await call("POST", "/v1/echo", chunks=[b'{"aStr', b'ing": "x"}'])).status == 200
    assert shop.last.a_string == "x"
