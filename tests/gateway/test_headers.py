"""Headers in and out: what a client may say, what the services are told, what every answer carries."""

import re

import pytest

from tests.gateway.shop.client import Client
from tests.gateway.shop.service import Shop


async def test_only_what_means_something_passes(call: Client, shop: Shop) -> None:
    sent = {
        "authorization": "Bearer t/u",
        "accept-language": "fr",
        "idempotency-key": "k1",
        "x-request-id": "mine",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
        "user-agent": "test/1",
        "x-kith-service": "forged",
        "x-kith-client-ip": "forged",
        "x-kith-user-agent": "forged",
        "grpc-timeout": "1n",
        "x-tenant": "forged",
        "cookie": "__Host-rt=secret",
        "x-forwarded-for": "203.0.113.9",
    }
    answer = await call("POST", "/v1/shelves", {}, headers=sent)
    told = {name: value for name, value in shop.told.items() if name not in {"user-agent", "grpc-accept-encoding"}}
    trace = told.pop("traceparent")
    assert told == {
        "authorization": "Bearer t/u",
        "accept-language": "fr",
        "idempotency-key": "k1",
        "x-request-id": "mine",
        "x-kith-service": "token-for-shop",
        "x-kith-client-ip": "192.0.2.1",
        "x-kith-user-agent": "test/1",
    }
    assert trace.startswith("00-0af7651916cd43dd8448eb211c80319c-")
    assert (answer.headers["x-request-id"], answer.headers["x-trace-id"]) == ("mine", "0af7651916cd43dd8448eb211c80319c")


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "\x7f"])
async def test_a_request_id_that_is_no_word_is_replaced(call: Client, given: str) -> None:
    answer = await call("GET", "/v1/nothing", headers={"x-request-id": given})
    assert re.fullmatch(r"[0-9a-f-]{36}", answer.headers["x-request-id"])


@pytest.mark.parametrize("given", ["", "00-0-0-00", "00-" + "0" * 32 + "-" + "1" * 16 + "-00", "é"])
async def test_a_bad_traceparent_begins_a_new_trace(call: Client, given: str) -> None:
    answer = await call("GET", "/v1/nothing", headers={"traceparent": given})
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-trace-id"])


@pytest.mark.parametrize("name", ["authorization", "idempotency-key", "if-match", "content-type", "origin", "x-csrf"])
async def test_a_header_that_stands_twice_is_refused(call: Client, name: str) -> None:
    answer = await call("POST", "/v1/echo", {}, headers=[(name, "a"), (name, "a")])
    assert (answer.status, answer.code) == (400, "BODY_INVALID")


async def test_the_older_name_of_the_key_is_good_too(call: Client, shop: Shop) -> None:
    await call("POST", "/v1/shelves", {}, headers={"x-idempotency-key": "k2"})
    assert shop.told["idempotency-key"] == "k2"
    both = await call("POST", "/v1/shelves", {}, headers={"x-idempotency-key": "k2", "idempotency-key": "k3"})
    assert both.status == 400


@pytest.mark.parametrize("key", ["", " ", "a b", "é", "x" * 256])
async def test_a_bad_idempotency_key_is_refused(call: Client, key: str) -> None:
    assert (await call("POST", "/v1/shelves", {}, headers={"idempotency-key": key})).status == 400


async def test_a_replay_is_told(call: Client) -> None:
    assert (await call("POST", "/v1/shelves", {}, headers={"idempotency-key": "again"})).headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in (await call("POST", "/v1/shelves", {}, headers={"idempotency-key": "fresh"})).headers


async def test_if_match_becomes_the_etag(call: Client, shop: Shop) -> None:
    answer = await call("PATCH", "/v1/shelves/1", {"note": "x"}, headers={"if-match": '"3"'})
    assert (shop.last.shelf.etag, list(shop.last.update_mask.paths)) == ('"3"', ["note"])
    assert answer.headers["etag"] == '"7"' == answer.json["etag"]
    await call("DELETE", "/v1/shelves/1", headers={"if-match": '"4"'})
    assert shop.last.etag == '"4"'
    await call("DELETE", "/v1/shelves/1", headers={"if-match": "*"})
    assert shop.last.etag == ""


async def test_if_match_that_cannot_hold_is_refused(call: Client) -> None:
    assert (await call("PATCH", "/v1/shelves/1", {"etag": '"2"'}, headers={"if-match": '"3"'})).status == 400
    assert (await call("PATCH", "/v1/shelves/1", {"etag": '"3"'}, headers={"if-match": '"3"'})).status == 200
    assert (await call("POST", "/v1/echo", {}, headers={"if-match": '"3"'})).status == 400
    assert (await call("DELETE", "/v1/shelves/1", headers={"if-match": '"3", "4"'})).status == 400


async def test_forms_and_overrides_change_nothing(call: Client, shop: Shop) -> None:
    answer = await call("POST", "/v1/shelves/1", {}, headers={"x-http-method-override": "PATCH"})
    assert answer.status == 405
    assert (await call("POST", "/v1/shelves/1?_method=PATCH", {})).status == 405


async def test_large_headers_and_urls_are_refused(call: Client) -> None:
    assert (await call("GET", "/v1/shelves", headers={"accept": "x" * 9000})).code == "HEADERS_TOO_LARGE"
    many = await call("GET", "/v1/shelves", headers=[(f"x-{number}", "y" * 4000) for number in range(10)])
    assert (many.status, many.code) == (431, "HEADERS_TOO_LARGE")
    assert (await call("GET", "/v1/shelves?aString=" + "x" * 20_000)).status == 414


async def test_every_answer_is_guarded(call: Client) -> None:
    for target in ("/v1/probes/1", "/v1/nothing", "/docs", "/livez"):
        headers = (await call("GET", target)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["strict-transport-security"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["cache-control"] in {"no-store", "no-cache"}
        assert headers["x-request-id"]
        assert headers["x-trace-id"]
        assert "server" not in headers


async def test_the_key_set_may_be_kept(call: Client) -> None:
    answer = await call("GET", "/v1/auth/keys")
    assert (answer.json, answer.headers["content-type"]) == ({"keys": []}, "application/json")
    assert answer.headers["cache-control"] == "public, max-age=3600"


async def test_forwarded_addresses_are_believed_only_from_our_proxies(edge_with, shop: Shop) -> None:
    behind = edge_with(trusted_proxies=("192.0.2.0/24", "10.0.0.0/8"))
    for forwarded, expected in [
        ("203.0.113.9", "203.0.113.9"),
        ("198.51.100.1, 203.0.113.9, 10.1.1.1", "203.0.113.9"),
        ("nonsense, 10.1.1.1", "10.1.1.1"),
        ("10.2.2.2", "10.2.2.2"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
    ]:
        await behind("GET", "/v1/probes/1", headers={"x-forwarded-for": forwarded})
        assert shop.told["x-kith-client-ip"] == expected
    await behind("GET", "/v1/probes/1", headers=[("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "2.2.2.2")])
    assert shop.told["x-kith-client-ip"] == "2.2.2.2"


async def test_only_listed_origins_may_read_answers(edge_with) -> None:
    call = edge_with(cors_origins=("https://app.test",))
    allowed = await call("GET", "/v1/probes/1", headers={"origin": "https://app.test"})
    assert (allowed.headers["access-control-allow-origin"], allowed.headers["vary"]) == ("https://app.test", "origin")
    assert "access-control-allow-credentials" not in allowed.headers
    for origin in ("https://app.test.evil.test", "null", "http://app.test", "https://APP.test"):
        assert "access-control-allow-origin" not in (await call("GET", "/v1/probes/1", headers={"origin": origin})).headers
    preflight = {"origin": "https://app.test", "access-control-request-method": "PATCH"}
    answer = await call("OPTIONS", "/v1/shelves/1", headers=preflight)
    assert (answer.status, "PATCH" in answer.headers["access-control-allow-methods"]) == (204, True)
    assert (
        "access-control-allow-methods"
        not in (await call("OPTIONS", "/v1/shelves/1", headers=preflight | {"origin": "https://x.test"})).headers
    )
