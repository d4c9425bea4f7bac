"""Paths: which operation a URL means, and what its variables hold."""

from typing import Any

import pytest

from gateway.routes import Routes
from gateway.templates import TemplateError, parse
from tests.gateway.shop.client import Client
from tests.gateway.shop.service import Shop

ALLOWED = {"authorization": "Bearer t/u"}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1/shelves/abc", "abc"),
        ("/v1/shelves/a%2Fb%20c", "a/b c"),
        ("/v1/shelves/a:b", "a:b"),
        ("/v1/shelves/a%3Aarchive", "a:archive"),
        ("/v1/shelves/a+b", "a+b"),
        ("/v1/shelves/%C3%A9", "é"),
    ],
)
async def test_one_segment_is_decoded_whole(call: Client, shop: Shop, path: str, expected: str) -> None:
    assert (await call("GET", path, headers=ALLOWED)).status == 200
    assert shop.last.id == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1/shelves/1/books/2", "shelves/1/books/2"),
        ("/v1/shelves/a%2Fb/books/c%20d", "shelves/a%2Fb/books/c d"),
        ("/v1/files", ""),
        ("/v1/files/a", "a"),
        ("/v1/files/a/b%2fc/d", "a/b%2fc/d"),
    ],
)
async def test_several_segments_keep_their_escaped_slashes(call: Client, shop: Shop, path: str, expected: str) -> None:
    answer = await call("GET", path)
    assert answer.json["name"] == shop.last.name == expected


@pytest.mark.parametrize(("path", "name"), [("/v1/files/meta", ""), ("/v1/files/a/meta", "a"), ("/v1/files/a/all/meta", "a")])
async def test_the_longest_constant_tail_wins(call: Client, shop: Shop, path: str, name: str) -> None:
    assert "etag" in (await call("GET", path)).json
    assert shop.last.name == name


async def test_a_literal_goes_before_a_variable(call: Client) -> None:
    assert (await call("GET", "/v1/shelves/special")).json["id"] == ""


async def test_a_literal_that_does_not_take_the_method_leaves_it_to_the_variable(call: Client, shop: Shop) -> None:
    assert (await call("DELETE", "/v1/shelves/special")).status == 200
    assert shop.last.id == "special"


async def test_the_verb_is_the_text_after_the_last_colon(call: Client, shop: Shop) -> None:
    assert (await call("POST", "/v1/shelves/a:b:archive", {})).status == 200
    assert shop.last.id == "a:b"


async def test_a_verb_with_another_method_is_never_taken_for_an_id(call: Client) -> None:
    answer = await call("DELETE", "/v1/shelves/a:archive")
    assert (answer.status, answer.code, answer.headers["allow"]) == (405, "METHOD_NOT_ALLOWED", "OPTIONS, POST")


async def test_a_known_path_says_what_it_takes(call: Client) -> None:
    answer = await call("POST", "/v1/shelves/1", {})
    assert (answer.status, answer.headers["allow"]) == (405, "DELETE, GET, HEAD, OPTIONS, PATCH, PUT")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/v1/nothing",
        "/v1/shelves/",
        "/v1/shelves/1/",
        "/v1//shelves",
        "/v1/Shelves/1",
        "/v1/shelves/1/2",
        "/v1/files/",
        "/v1/hidden",
        "/kith.shop.v1.ShelfService/GetShelf",
        "/v1/shelves/:archive",
    ],
)
async def test_any_other_path_is_unknown(call: Client, path: str) -> None:
    answer = await call("GET", path)
    assert (answer.status, answer.code) == (404, "ROUTE_UNKNOWN")


@pytest.mark.parametrize("path", ["/v1/shelves/%zz", "/v1/shelves/%2", "/v1/shelves/%ff", "/v1/shelves/a%00b", "/v1/files/a/%ff"])
async def test_a_broken_escape_is_refused(call: Client, path: str) -> None:
    answer = await call("GET", path, headers=ALLOWED)
    assert (answer.status, answer.code) == (400, "BODY_INVALID")


async def test_path_fields_are_converted(call: Client) -> None:
    assert (await call("GET", "/v1/typed/-12/COLOR_BLUE/true")).json == {"number": -12, "color": "COLOR_BLUE", "flag": True}
    assert (await call("GET", "/v1/typed/0/5/false")).json["color"] == "COLOR_BLUE"


@pytest.mark.parametrize(
    "tail", ["2147483648/1/true", "x/1/true", "1/COLOR_GREEN/true", "1/7/true", "1/1/TRUE", "1/1/1", "1.0/1/true", "01/1/true"]
)
async def test_a_path_field_of_another_type_is_refused(call: Client, tail: str) -> None:
    answer = await call("GET", f"/v1/typed/{tail}")
    assert (answer.status, answer.code) == (400, "FIELD_INVALID")
    assert answer.json["fields"][0]["field"] in {"number", "color", "flag"}


async def test_additional_bindings_and_custom_methods_route(call: Client, shop: Shop) -> None:
    assert (await call("HEAD", "/v1/shelves/9/probe")).body == b""
    assert shop.last.id == "9"
    assert (await call("GET", "/v1/probes/8")).json["id"] == "8"
    assert (await call("PUT", "/v1/shelves/7", {})).json["id"] == "7"


@pytest.mark.parametrize(
    "template",
    [
        "v1/x",
        "/v1/{a={b}}",
        "/v1/**/*",
        "/v1/**/{a}",
        "/v1/**/x/**",
        "/v1/{x}b",
        "/v1/x:",
        "/v1//x",
        "/v1/{}",
        "/v1/{a.}",
        "/v1/{a",
        "/v1/x:y:z",
        "/v1/x:*",
        "/v1/a b",
        "/v1/{a}/{a}",
        "/v1/x/",
        "",
    ],
)
def test_a_template_that_cannot_be_served_is_refused(template: str) -> None:
    with pytest.raises(TemplateError):
        parse(template)


def test_two_routes_of_one_shape_are_refused() -> None:
    routes: Routes[Any] = Routes()
    routes.add("GET", parse("/v1/{a}/x"), 1)
    routes.add("POST", parse("/v1/{a}/x"), 2)
    with pytest.raises(TemplateError, match="shape"):
        routes.add("GET", parse("/v1/{b=*}/x"), 3)


def test_the_order_of_adding_does_not_matter() -> None:
    templates = ["/v1/**", "/v1/{a}", "/v1/x", "/v1/**/y", "/v1/x/**", "/v1/{a}/y", "/v1/**/x/y"]
    paths = {"/v1": "/v1/**", "/v1/q": "/v1/{a}", "/v1/x": "/v1/x", "/v1/q/y": "/v1/{a}/y", "/v1/x/y": "/v1/x/**", "/v1/a/b/y": "/v1/**/y"}
    paths |= {"/v1/a/x/y": "/v1/**/x/y", "/v1/x/b/c": "/v1/x/**"}
    for order in (templates, templates[::-1], sorted(templates)):
        routes: Routes[str] = Routes()
        for each in order:
            routes.add("GET", parse(each), each)
        assert {path: routes.find("GET", path)[0] for path in paths} == paths
