"""Query strings."""

import pytest

from tests.gateway.shop.client import Client
from tests.gateway.shop.service import Shop

LIST = "/v1/shelves"


async def test_keys_are_field_paths_in_either_spelling(call: Client, shop: Shop) -> None:
    answer = await call("GET", f"{LIST}?a_string=x&anInt32=5&child.place.room=r&child.aString=y&oddName=z")
    assert answer.status == 200
    assert (shop.last.a_string, shop.last.an_int32, shop.last.custom_name) == ("x", 5, "z")
    assert (shop.last.child.place.room, shop.last.child.a_string) == ("r", "y")


async def test_values_have_their_json_text(call: Client, shop: Shop) -> None:
    query = "&".join(
        [
            "aString=a+b%2Bc%26",
            "anInt64=9007199254740993",
            "aUint64=18446744073709551615",
            "aDouble=1.5e3",
            "aBool=true",
            "someBytes=-_8",
            "color=COLOR_BLUE",
            "at=2026-01-31T13:45:00.25%2B01:00",
            "took=-1.5s",
            "mask=displayName,place.room,snake_case",
            "stringValue=",
            "int64Value=7",
            "boolValue=false",
            "bytesValue=%2B/8=",
            "doubleValue=NaN",
        ]
    )
    assert (await call("GET", f"{LIST}?{query}")).status == 200
    seen = shop.last
    assert (seen.a_string, seen.an_int64, seen.a_uint64, seen.a_double) == ("a b+c&", 9007199254740993, 18446744073709551615, 1500.0)
    assert (seen.a_bool, seen.some_bytes, seen.color) == (True, b"\xfb\xff", 5)
    assert (seen.at.seconds, seen.at.nanos, seen.took.seconds, seen.took.nanos) == (1769863500, 250000000, -1, -500000000)
    assert list(seen.mask.paths) == ["display_name", "place.room", "snake_case"]
    assert seen.HasField("string_value")
    assert seen.bool_value.value is False
    assert seen.HasField("bool_value")
    assert seen.bytes_value.value == b"\xfb\xff"


async def test_lists_are_repeated_and_never_split(call: Client, shop: Shop) -> None:
    assert (await call("GET", f"{LIST}?words=a,b&words=c&numbers=1&numbers=2&times=1970-01-01T00:00:01Z&colors=1")).status == 200
    assert (list(shop.last.words), list(shop.last.numbers), shop.last.times[0].seconds) == (["a,b", "c"], [1, 2], 1)


async def test_an_empty_value_sets_presence(call: Client, shop: Shop) -> None:
    await call("GET", f"{LIST}?maybe_string=")
    assert shop.last.HasField("maybe_string")
    await call("GET", f"{LIST}?aString=")
    assert not shop.last.HasField("maybe_string")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("nothing_such=1", "UNKNOWN_FIELD"),
        ("child.nosuch=1", "UNKNOWN_FIELD"),
        ("A_string=1", "UNKNOWN_FIELD"),
        ("=1", "UNKNOWN_FIELD"),
        ("child..aString=1", "UNKNOWN_FIELD"),
        ("aString.x=1", "UNKNOWN_FIELD"),
        (".".join(["child"] * 40) + "=1", "UNKNOWN_FIELD"),
        ("aString=1&aString=2", "FIELD_INVALID"),
        ("aString=1&a_string=2", "FIELD_INVALID"),
        ("at=1970-01-01T00:00:01Z&at=1970-01-01T00:00:01Z", "FIELD_INVALID"),
        ("counts=1", "FIELD_INVALID"),
        ("counts.key=1", "FIELD_INVALID"),
        ("children=1", "FIELD_INVALID"),
        ("children.aString=1", "FIELD_INVALID"),
        ("child=1", "FIELD_INVALID"),
        ("struct=1", "FIELD_INVALID"),
        ("struct.fields=1", "FIELD_INVALID"),
        ("any=1", "FIELD_INVALID"),
        ("values=1", "FIELD_INVALID"),
        ("at.seconds=1", "FIELD_INVALID"),
        ("left=a&right=1", "FIELD_INVALID"),
        ("left=a&third.room=r", "FIELD_INVALID"),
        ("third.room=r&right=1", "FIELD_INVALID"),
        ("aBool=1", "FIELD_INVALID"),
        ("aBool=True", "FIELD_INVALID"),
        ("aBool=", "FIELD_INVALID"),
        ("anInt32=", "FIELD_INVALID"),
        ("anInt32=1.5", "FIELD_INVALID"),
        ("anInt32=%2B1", "FIELD_INVALID"),
        ("anInt32=+1", "FIELD_INVALID"),
        ("anInt32=1_0", "FIELD_INVALID"),
        ("aUint32=-1", "FIELD_INVALID"),
        ("anInt64=9223372036854775808", "FIELD_INVALID"),
        ("aFloat=1e39", "FIELD_INVALID"),
        ("aDouble=1e999", "FIELD_INVALID"),
        ("aDouble=inf", "FIELD_INVALID"),
        ("color=RED", "FIELD_INVALID"),
        ("color=2", "FIELD_INVALID"),
        ("someBytes=*", "FIELD_INVALID"),
        ("someBytes=a", "FIELD_INVALID"),
        ("someBytes=ab=c", "FIELD_INVALID"),
        ("at=2026-02-30T00:00:00Z", "FIELD_INVALID"),
        ("at=2026-01-01", "FIELD_INVALID"),
        ("at=0000-01-01T00:00:00Z", "FIELD_INVALID"),
        ("at=0001-01-01T00:00:00%2B01:00", "FIELD_INVALID"),
        ("took=1", "FIELD_INVALID"),
        ("took=315576000001s", "FIELD_INVALID"),
        ("mask=a,,b", "FIELD_INVALID"),
        ("aString=%ff", "BODY_INVALID"),
        ("aString=%0", "BODY_INVALID"),
        ("aString=%00", "BODY_INVALID"),
    ],
)
async def test_what_is_no_field_or_no_value_is_refused(call: Client, shop: Shop, query: str, code: str) -> None:
    before = len(shop.seen)
    answer = await call("GET", f"{LIST}?{query}")
    assert (answer.status, answer.code) == (400, code)
    assert len(shop.seen) == before


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/v1/shelves/1?id=1"),
        ("PATCH", "/v1/shelves/1?shelf.id=1"),
        ("PATCH", "/v1/shelves/1?shelf.displayName=x"),
        ("PATCH", "/v1/shelves/1?shelf=x"),
        ("POST", "/v1/echo?aString=x"),
        ("POST", "/v1/echo?x"),
    ],
)
async def test_what_path_or_body_hold_is_not_taken_from_the_query(call: Client, method: str, target: str) -> None:
    answer = await call(method, target, None if method == "GET" else {}, headers={"authorization": "Bearer t/u"})
    assert answer.status == 400


async def test_empty_parts_of_a_query_mean_nothing(call: Client) -> None:
    assert (await call("GET", f"{LIST}?&&aString=x&")).status == 200
