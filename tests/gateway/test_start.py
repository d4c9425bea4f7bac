"""What the edge refuses to start with, and how it knows who calls."""

from pathlib import Path

import pytest

from chassis.errors import Reason, Unauthenticated
from gateway.assembly import Assembly
from gateway.browser import Browser, clear_cookie, set_cookie
from gateway.contract import Contract, Cookie
from gateway.operations import Bounds
from gateway.principals import Principal, TokenPrincipals
from gateway.templates import TemplateError
from gateway.upstreams import MissingUpstreamError, Upstreams
from tests.gateway.shop.contract import compiled

PROTO = """
syntax = "proto3";
package kith.odd.v1;
import "google/api/annotations.proto";
import "google/api/httpbody.proto";
import "google/protobuf/struct.proto";
import "kith/options/v1/options.proto";
message Inner { string id = 1; }
message Odd { string id = 1; repeated string ids = 2; Inner inner = 3; map<string, string> labels = 4; google.api.HttpBody file = 5; }
service OddService {
  rpc Call(%(request)s) returns (%(reply)s) {
    option (google.api.http) = {%(http)s};
    %(policy)s
  }
}
"""
POLICY = "option (kith.options.v1.policy) = {public: true rate_tier: RATE_TIER_READ};"


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"http": 'get: "/v1/{nosuch}"'}, "no single field"),
        ({"http": 'get: "/v1/{ids}"'}, "no single field"),
        ({"http": 'get: "/v1/{labels}"'}, "no single field"),
        ({"http": 'get: "/v1/{inner}"'}, "is a message"),
        ({"http": 'get: "/v1/{id.x}"'}, "no single field"),
        ({"http": 'get: "/v1/x" body: "*"'}, "has a body in a GET"),
        ({"http": 'delete: "/v1/x" body: "inner"'}, "has a body in a DELETE"),
        ({"http": 'post: "/v1/x" body: "nosuch"'}, "which is no field"),
        ({"http": 'post: "/v1/x" response_body: "nosuch"'}, "which is no field"),
        ({"http": 'get: "/v1/{id}" additional_bindings: {get: "/v1/{inner.id}"}'}, "the shape of another"),
        ({"http": 'post: "/v1/x" body: "inner"', "request": "stream Odd"}, "streams what is no HttpBody"),
        ({"http": 'post: "/v1/x" body: "file"', "request": "stream Odd", "reply": "stream Odd"}, "streams both ways"),
        ({"http": 'post: "/v1/x" body: "*"', "request": "google.protobuf.Struct"}, "no object of fields"),
        ({"policy": "option (kith.options.v1.policy) = {public: true};"}, "no rate tier"),
        ({"policy": ""}, "no policy"),
        ({"policy": "option (kith.options.v1.policy) = {rate_tier: RATE_TIER_READ};"}, "no policy"),
    ],
)
async def test_a_contract_that_cannot_be_served_stops_the_start(tmp_path: Path, settings, changed: dict[str, str], why: str) -> None:
    parts = {"http": 'get: "/v1/{id}"', "request": "Odd", "reply": "Odd", "policy": POLICY} | changed
    source = tmp_path / "odd.proto"
    source.write_text(PROTO % parts)
    with pytest.raises((TemplateError, ValueError), match=why):
        assemble(compiled(source, tmp_path), Bounds.of(settings()))


def assemble(contract: Contract, bounds: Bounds) -> None:
    upstreams = Upstreams({"odd": "127.0.0.1:1"}, contract.methods)
    browser = Browser(own_origin="http://edge.test", cors_origins=())
    Assembly(contract, upstreams, browser=browser, bounds=bounds, service_token=str, own={}).routes()


async def test_a_service_without_an_address_stops_the_start(contract) -> None:
    with pytest.raises(MissingUpstreamError, match="shop"):
        Upstreams({"crm": "127.0.0.1:1"}, contract.methods)


class Verifier:
    async def verify(self, token: str):
        if token != "good":
            raise Unauthenticated(Reason.TOKEN_INVALID, "no")
        return type("Token", (), {"tenant_id": "t", "user_id": "u"})


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Bearer good", Principal("t", "u")),
        ("bearer good", Principal("t", "u")),
        ("Bearer bad", None),
        ("Basic x", None),
        (None, None),
        ("", None),
    ],
)
async def test_only_a_good_token_makes_a_principal(given: str | None, expected: Principal | None) -> None:
    assert await TokenPrincipals(Verifier()).principal(given) == expected


def test_what_cannot_be_a_cookie_is_an_error() -> None:
    with pytest.raises(ValueError, match="__Host-rt"):
        set_cookie(Cookie("__Host-rt", 1), "a; Domain=evil.test")
    assert clear_cookie("__Host-rt")[0] == b"set-cookie"
