"""Secrets of browsers: cookies that scripts cannot read, for pages of our own origin alone."""

import pytest

from tests.gateway.conftest import ORIGIN
from tests.gateway.shop.client import Client
from tests.gateway.shop.service import Shop

PAGE = {"x-csrf": "1", "origin": ORIGIN, "sec-fetch-site": "same-origin", "content-type": "application/json"}
COOKIE = {"cookie": "other=1; __Host-rt=first; x=y"}


async def test_a_page_gets_its_secret_as_a_cookie(call: Client) -> None:
    answer = await call("POST", "/v1/auth:signIn", {}, headers=PAGE)
    assert answer.json == {"accessToken": "access"}
    assert answer.cookies == ["__Host-rt=first; Max-Age=600; Path=/; Secure; HttpOnly; SameSite=Strict"]


async def test_a_program_gets_it_in_the_body(call: Client) -> None:
    answer = await call("POST", "/v1/auth:signIn", {})
    assert (answer.json["refreshToken"], answer.cookies) == ("first", [])


async def test_the_cookie_stands_for_the_empty_field(call: Client, shop: Shop) -> None:
    answer = await call("POST", "/v1/auth:refresh", headers=PAGE | COOKIE)
    assert (answer.status, shop.last.refresh_token) == (200, "first")
    assert answer.cookies[0].startswith("__Host-rt=after-first;")
    await call("POST", "/v1/auth:refresh", {"refreshToken": "named"}, headers=PAGE | COOKIE)
    assert shop.last.refresh_token == "named"


async def test_without_the_header_the_cookie_is_not_there(call: Client, shop: Shop) -> None:
    answer = await call("POST", "/v1/auth:refresh", {}, headers=COOKIE)
    assert (answer.status, shop.last.refresh_token) == (401, "")


@pytest.mark.parametrize(
    "changed",
    [
        {"origin": "null"},
        {"origin": "https://evil.test"},
        {"origin": ORIGIN + ":80"},
        {"origin": ""},
        {"origin": None},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": None},
        {"x-csrf": "true"},
        {"x-csrf": ""},
    ],
)
@pytest.mark.parametrize("path", ["/v1/auth:refresh", "/v1/auth:signIn", "/v1/auth:signOut"])
async def test_another_page_is_refused(call: Client, shop: Shop, changed: dict[str, str | None], path: str) -> None:
    before = len(shop.seen)
    headers = {name: value for name, value in (PAGE | COOKIE | changed).items() if value is not None}
    answer = await call("POST", path, {}, headers=headers)
    assert (answer.status, answer.code, answer.cookies, len(shop.seen)) == (403, "ORIGIN_REFUSED", [], before)


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
async def test_a_form_is_refused(call: Client, kind: str | None) -> None:
    headers = {name: value for name, value in (PAGE | COOKIE | {"content-type": kind}).items() if value is not None}
    assert (await call("POST", "/v1/auth:refresh", headers=headers)).code == "MEDIA_TYPE_UNSUPPORTED"


async def test_a_planted_second_cookie_makes_both_worthless(call: Client, shop: Shop) -> None:
    planted = [*PAGE.items(), ("cookie", "__Host-rt=evil"), ("cookie", "__Host-rt=first")]
    assert (await call("POST", "/v1/auth:refresh", headers=planted)).status == 401
    assert shop.last.refresh_token == ""


async def test_signing_out_clears_the_cookie(call: Client, shop: Shop) -> None:
    answer = await call("POST", "/v1/auth:signOut", headers=PAGE | COOKIE)
    assert answer.cookies == ["__Host-rt=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Strict"]
    assert shop.last.refresh_token == "first"
    assert (await call("POST", "/v1/auth:signOut", {"refreshToken": "x"})).cookies == []


async def test_a_call_without_cookies_does_not_ask_where_it_comes_from(call: Client) -> None:
    assert (await call("GET", "/v1/probes/1", headers={"x-csrf": "1", "origin": "https://evil.test"})).status == 200
