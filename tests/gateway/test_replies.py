"""Answers: JSON, problem documents, streams, and the headers around them."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from grpc import StatusCode

from chassis.json.encoders import Encoders
from gateway import media
from gateway.contract import Contract
from gateway.main import build
from gateway.replies import ReplyEncoder
from gateway.upstreams import Upstreams
from tests.gateway.conftest import Tokens
from tests.gateway.shop.client import Answer, Client
from tests.gateway.shop.service import MARK, Shop
from tests.unit.chassis.moving import eventually


async def test_fields_without_presence_are_always_there(call: Client) -> None:
    found = (await call("POST", "/v1/echo", {})).json
    assert (found["aString"], found["anInt64"], found["color"], found["words"], found["counts"]) == ("", "0", "COLOR_UNSPECIFIED", [], {})
    assert not found.keys() & {"child", "maybeString", "at", "left", "stringValue"}


async def test_numbers_and_enums_have_their_json_form(call: Client) -> None:
    body = {
        "anInt64": "-5",
        "color": 5,
        "counts": {"a": 1},
        "flags": {"true": 1},
        "places": {"7": {"floor": 1}},
        "aFloat": 0.1,
        "oddName": "x",
    }
    found = (await call("POST", "/v1/echo", body)).json
    assert (found["anInt64"], found["color"], found["counts"], found["flags"]) == ("-5", "COLOR_BLUE", {"a": "1"}, {"true": "COLOR_RED"})
    assert (found["places"], found["aFloat"], found["oddName"]) == ({"7": {"room": "", "floor": 1}}, 0.1, "x")


async def test_nothing_is_an_empty_object(call: Client) -> None:
    answer = await call("DELETE", "/v1/shelves/1")
    assert (answer.status, answer.body, answer.headers["content-type"]) == (200, b"{}", "application/json")


async def test_head_has_everything_but_the_body(call: Client) -> None:
    answer = await call("HEAD", "/v1/probes/1")
    assert (answer.status, answer.body) == (200, b"")
    assert int(answer.headers["content-length"]) > 0


async def test_options_says_what_the_path_takes(call: Client) -> None:
    answer = await call("OPTIONS", "/v1/shelves")
    assert (answer.status, answer.body, answer.headers["allow"]) == (204, b"", "GET, HEAD, OPTIONS, POST")


async def refuse(call: Client, headers: dict[str, str] | None = None, **how: Any) -> Answer:
    return await call("POST", "/v1/refusals", how, headers=headers or {})


@pytest.mark.parametrize(
    ("code", "status"),
    [(1, 499), (3, 400), (4, 504), (5, 404), (6, 409), (7, 403), (8, 429), (9, 400), (10, 409), (11, 400), (12, 501), (14, 503), (16, 401)],
)
async def test_a_refusal_becomes_the_usual_status(call: Client, code: int, status: int) -> None:
    answer = await refuse(call, code=code, reason="WHY", message="said for people", fields=["emails[0].address"])
    found = answer.json
    assert (answer.status, answer.code, found["status"], found["detail"]) == (status, "WHY", status, "said for people")
    assert found["fields"] == [{"field": "emails[0].address", "description": "is wrong"}]
    assert found["metadata"] == {"whoChanged": "x"}
    assert (found["type"], found["title"]) == ("http://edge.test/docs#WHY", "Why")
    assert found["request_id"] == answer.headers["x-request-id"]
    assert found["trace_id"] == answer.headers["x-trace-id"]


@pytest.mark.parametrize("code", [2, 13, 15])
async def test_the_inside_stays_inside(call: Client, code: int) -> None:
    answer = await refuse(call, code=code, reason="WHY", message=MARK)
    assert (answer.status, answer.code) == (500, "INTERNAL")
    assert MARK.encode() not in answer.body


@pytest.mark.parametrize("code", [code.value[0] for code in StatusCode if code is not StatusCode.OK])
async def test_a_status_without_details_says_nothing_of_its_own(call: Client, code: int) -> None:
    answer = await refuse(call, code=code, message=MARK)
    assert answer.code
    assert MARK.encode() not in answer.body


async def test_a_call_that_a_service_gave_up_may_be_made_again(call: Client) -> None:
    answer = await refuse(call, code=StatusCode.CANCELLED.value[0])
    assert (answer.status, answer.code, answer.headers["retry-after"]) == (503, "UNAVAILABLE", "1")


async def test_an_exception_of_a_service_stays_inside(call: Client) -> None:
    answer = await refuse(call, message="crash")
    assert (answer.status, MARK.encode() in answer.body) == (500, False)


async def test_a_stale_etag_is_412_only_when_it_came_as_if_match(call: Client) -> None:
    assert (await refuse(call, code=10, reason="ETAG_MISMATCH")).status == 409
    assert (await refuse(call, {"if-match": '"1"'}, code=10, reason="ETAG_MISMATCH")).status == 412


async def test_idempotency_has_its_own_statuses(call: Client) -> None:
    assert (await refuse(call, code=3, reason="IDEMPOTENCY_KEY_REUSED")).status == 422
    answer = await refuse(call, code=10, reason="IDEMPOTENCY_IN_PROGRESS")
    assert (answer.status, answer.headers["retry-after"]) == (409, "1")


async def test_a_delay_is_rounded_up(call: Client) -> None:
    assert (await refuse(call, code=14, reason="UNAVAILABLE", retry="2.1s")).headers["retry-after"] == "3"
    assert (await refuse(call, code=14, reason="UNAVAILABLE", retry="0s")).headers["retry-after"] == "1"


async def test_unauthenticated_names_the_way_in(call: Client) -> None:
    assert (await call("GET", "/v1/shelves/1")).headers["www-authenticate"] == 'Bearer realm="kith"'
    answer = await refuse(call, code=16, reason="TOKEN_INVALID")
    assert answer.headers["www-authenticate"] == 'Bearer realm="kith", error="invalid_token"'


async def test_a_service_that_is_not_there_is_503(contract: Any, settings: Any) -> None:
    upstreams = Upstreams({"shop": "127.0.0.1:1"}, contract.methods)
    edge, health = build(settings(), contract, upstreams, principals=Tokens(), service_token=str, own={})
    answer = await Client(edge)("GET", "/v1/probes/1")
    assert (answer.status, answer.code, answer.headers["retry-after"]) == (503, "UNAVAILABLE", "1")
    assert b"127.0.0.1" not in answer.body
    health.started = True
    await health.check()
    ready = await Client(edge)("GET", "/readyz")
    assert (ready.status, ready.json["dependencies"]["shop"]) == (503, {"up": False, "needed": True})
    await upstreams.close()


async def test_a_stream_is_server_sent_events(call: Client) -> None:
    answer = await call("GET", "/v1/shelves:watch?count=3")
    events = answer.body.decode().split("\n\n")
    assert answer.headers["content-type"] == "text/event-stream"
    assert [json.loads(event.removeprefix("data: "))["id"] for event in events[:-1]] == ["0", "1", "2"]


@pytest.mark.parametrize("accept", ["application/jsonl", "application/x-ndjson, text/event-stream;q=0.5"])
async def test_a_stream_is_json_lines_when_asked(call: Client, accept: str) -> None:
    answer = await call("GET", "/v1/shelves:watch?count=2", headers={"accept": accept})
    assert answer.headers["content-type"] == "application/jsonl"
    assert [json.loads(line)["id"] for line in answer.body.splitlines()] == ["0", "1"]


async def test_an_empty_stream_is_no_error(call: Client) -> None:
    answer = await call("GET", "/v1/shelves:watch")
    assert (answer.status, answer.body) == (200, b"")


async def test_a_late_error_is_the_last_event_or_line(call: Client) -> None:
    events = (await call("GET", "/v1/shelves:watch?count=3&fail_after=1")).body.decode().split("\n\n")
    assert events[1].startswith("event: error\ndata: ")
    assert json.loads(events[1].partition("data: ")[2])["code"] == "NOT_FOUND"
    lines = (await call("GET", "/v1/shelves:watch?count=3&fail_after=1", headers={"accept": "application/jsonl"})).body.splitlines()
    assert json.loads(lines[-1])["error"]["code"] == "NOT_FOUND"


async def test_an_early_error_of_a_stream_is_a_plain_status(call: Client) -> None:
    answer = await call("GET", "/v1/shelves:watch?count=3&fail_after=0")
    assert (answer.status, answer.code) == (404, "NOT_FOUND")


async def test_a_download_is_the_bytes_themselves(call: Client) -> None:
    answer = await call("GET", "/v1/downloads?count=3")
    assert (answer.headers["content-type"], answer.body, answer.complete) == ("text/csv", b"0,1,2,", True)


async def test_a_download_names_its_file(call: Client) -> None:
    disposition = (await call("GET", "/v1/downloads?count=1")).headers["content-disposition"]
    assert disposition == "attachment; filename=\"Gr__en _1_2_.csv\"; filename*=UTF-8''Gr%C3%B6%C3%9Fen%20%221_2%22.csv"
    assert media.attachment("contacts-2026-01-31.csv") == b'attachment; filename="contacts-2026-01-31.csv"'
    assert b"\n" not in media.attachment("a\r\nset-cookie: b")


async def test_head_of_a_download_has_its_headers_and_ends_the_call(call: Client, shop: Shop) -> None:
    before = shop.cancelled
    answer = await call("HEAD", "/v1/downloads?count=100000000")
    assert (answer.status, answer.body, "content-disposition" in answer.headers) == (200, b"", True)
    await eventually(lambda: shop.cancelled > before)


async def test_a_download_that_fails_early_is_a_plain_problem(call: Client) -> None:
    answer = await call("GET", "/v1/downloads?count=3&fail_after=0")
    assert (answer.status, answer.code) == (404, "NOT_FOUND")


async def test_a_download_that_fails_late_breaks_off_and_says_nothing_more(call: Client) -> None:
    answer = await call("GET", "/v1/downloads?count=3&fail_after=1")
    assert (answer.status, answer.body, answer.complete) == (200, b"0,", False)


async def test_an_upload_passes_piece_by_piece(call: Client, shop: Shop) -> None:
    answer = await call(
        "POST", "/v1/uploads/a%2Fb?kind=k", chunks=[b"x" * 1_000_000, b"y" * 1_000_000, b"z"], headers={"content-type": "text/csv"}
    )
    assert answer.json == {"name": "a/b", "size": "2000001", "pieces": 3, "contentType": "text/csv", "kind": "k"}


async def test_an_empty_upload_is_one_empty_piece(call: Client) -> None:
    assert (await call("POST", "/v1/uploads/a", b"")).json["pieces"] == 1


async def test_an_upload_that_is_too_large_is_cancelled(call: Client, shop: Shop) -> None:
    answer = await call("POST", "/v1/uploads/a", chunks=[b"x" * 1_000_000] * 4)
    assert (answer.status, answer.code) == (413, "BODY_TOO_LARGE")
    assert (await call("POST", "/v1/uploads/a", headers={"content-length": "3000001"})).status == 413


async def test_an_upload_that_breaks_off_or_stalls_is_cancelled(call: Client, edge_with: Callable[..., Client]) -> None:
    assert (await call("POST", "/v1/uploads/a", chunks=[b"x"], leave=True)).status == 499
    hasty = edge_with(body_seconds=0.1)
    assert (await hasty("POST", "/v1/uploads/a", chunks=[b"x", b"y"], pause=0.4)).status == 408


async def test_a_service_that_refuses_in_the_middle_of_an_upload_is_heard(call: Client) -> None:
    for _ in range(20):
        refused = await call("POST", "/v1/uploads/refused", chunks=[b"x" * 500_000] * 5)
        assert (refused.status, refused.code, MARK.encode() in refused.body) == (503, "UNAVAILABLE", False)


def replies(contract: Contract) -> dict[str, ReplyEncoder]:
    encoders = Encoders(contract.pool)
    return {each.name: ReplyEncoder(each, each.bindings[0], contract, encoders) for each in contract.methods}


def test_services_may_write_json_where_the_edge_takes_nothing_out_of_the_message(contract: Contract) -> None:
    of = replies(contract)
    taken = {name for name in ("GetShelf", "ListShelves", "DeleteShelf", "PutTags", "PutRaw", "SignIn", "SignOut") if of[name].takes_json}
    assert taken == {"GetShelf", "ListShelves", "DeleteShelf"}


def test_json_of_a_service_makes_the_same_reply_as_its_message(contract: Contract) -> None:
    of = replies(contract)
    method = next(each for each in contract.methods if each.name == "GetShelf")
    shelf = contract.message_class(method.output)(id="1", etag='"3"')  # type: ignore[call-arg]
    long_way = of["GetShelf"].reply(shelf.SerializeToString(), to_page=False)
    assert of["GetShelf"].of_json(long_way.body, '"3"') == long_way
    assert (b"etag", b'"3"') in long_way.headers
    assert of["GetShelf"].of_json(b"{}", "").headers == [(b"content-type", media.JSON)]
