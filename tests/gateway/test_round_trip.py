"""The compiled transcoder agrees with google's own on every valid message."""

import json
from typing import Any

import orjson
import pytest
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from hypothesis import given, settings
from hypothesis import strategies as st

from chassis.json.encoders import Encoders
from gateway import strict_json
from gateway.contract import Contract
from gateway.decode import Decoders
from gateway.invalid import Invalid

EVERYTHING = "kith.shop.v1.Everything"
LARGEST_FLOAT = float.fromhex("0x1.fffffep+127")  # google writes it rounded up, and then refuses what it wrote
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
SECONDS = st.integers(-62135596800, 253402300799)
NANOS = st.sampled_from([0, 1, 1_000, 1_500_000, 250_000_000, 999_999_999])
RANGES = {
    **dict.fromkeys((5, 17, 15), st.integers(-(2**31), 2**31 - 1)),
    **dict.fromkeys((13, 7), st.integers(0, 2**32 - 1)),
    **dict.fromkeys((3, 18, 16), st.integers(-(2**63), 2**63 - 1)),
    **dict.fromkeys((4, 6), st.integers(0, 2**64 - 1)),
}
JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


def scalars(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    if field.enum_type is not None:
        return st.sampled_from([value.number for value in field.enum_type.values])
    if field.type in RANGES:
        return RANGES[field.type]
    return {
        FieldDescriptor.TYPE_DOUBLE: st.floats(),
        FieldDescriptor.TYPE_FLOAT: st.floats(width=32).filter(lambda value: abs(value) != LARGEST_FLOAT),
        FieldDescriptor.TYPE_BOOL: st.booleans(),
        FieldDescriptor.TYPE_STRING: TEXT,
        FieldDescriptor.TYPE_BYTES: st.binary(max_size=8),
    }[field.type]


def messages(descriptor: Descriptor, depth: int) -> st.SearchStrategy[Any]:
    kind = message_factory.GetMessageClass(descriptor)
    match descriptor.full_name:
        case "google.protobuf.Timestamp":
            return st.builds(kind, seconds=SECONDS, nanos=NANOS)
        case "google.protobuf.Duration":
            positive = st.builds(kind, seconds=st.integers(0, 315_576_000_000 - 1), nanos=NANOS)
            return positive | positive.map(lambda each: kind(seconds=-each.seconds, nanos=-each.nanos))
        case "google.protobuf.FieldMask":
            return st.builds(kind, paths=st.lists(st.sampled_from(["a", "a_b", "place.room", "some_long_name"]), max_size=3))
        case "google.protobuf.Struct" | "google.protobuf.ListValue" | "google.protobuf.Value":
            root = {"Struct": st.dictionaries(TEXT, JSON, max_size=3), "ListValue": st.lists(JSON, max_size=3), "Value": JSON}
            return root[descriptor.name].map(lambda value: json_format.ParseDict(value, kind()))
        case "google.protobuf.Any":
            return st.builds(kind)
    return st.fixed_dictionaries({}, optional={field.name: fields(field, depth) for field in chosen(descriptor, depth)}).map(
        lambda given: kind(**given)
    )


def chosen(descriptor: Descriptor, depth: int) -> list[FieldDescriptor]:
    return [field for field in descriptor.fields if depth or field.message_type is None]


def fields(field: FieldDescriptor, depth: int) -> st.SearchStrategy[Any]:
    inner = field.message_type
    if inner is not None and inner.GetOptions().map_entry:
        return st.dictionaries(scalars(inner.fields_by_name["key"]), values(inner.fields_by_name["value"], depth), max_size=2)
    one = values(field, depth)
    return st.lists(one, max_size=2) if field.is_repeated else one


def values(field: FieldDescriptor, depth: int) -> st.SearchStrategy[Any]:
    if field.message_type is None:
        return scalars(field)
    return messages(field.message_type, depth - 1)


@pytest.fixture(scope="module")
def everything(contract: Contract) -> Descriptor:
    return contract.pool.FindMessageTypeByName(EVERYTHING)


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_messages_come_back_as_they_went(contract: Contract, everything: Descriptor, data: st.DataObject) -> None:
    message = data.draw(messages(everything, 2))
    kind = type(message)
    written = orjson.dumps(Encoders(contract.pool).message(everything)(message))
    google = json_format.MessageToDict(message, always_print_fields_with_no_presence=True, descriptor_pool=contract.pool)
    assert json.loads(written) == json.loads(json.dumps(google))
    read = kind(**Decoders(contract.pool).message(everything)(strict_json.loads(written)))
    assert read == json_format.Parse(written, kind(), descriptor_pool=contract.pool) or has_nan(written)
    assert json.loads(orjson.dumps(Encoders(contract.pool).message(everything)(read))) == json.loads(written)


def has_nan(written: bytes) -> bool:
    return b'"NaN"' in written


@given(value=JSON)
def test_what_is_accepted_is_what_was_written(value: Any) -> None:
    written = json.dumps(value).encode()
    assert strict_json.loads(written) == json.loads(written)


@given(pairs=st.lists(st.tuples(TEXT, JSON), min_size=1, max_size=5), ascii_only=st.booleans())
def test_a_key_that_stands_twice_is_always_found(pairs: list[tuple[str, Any]], ascii_only: bool) -> None:
    members = [f"{json.dumps(key, ensure_ascii=ascii_only)}:{json.dumps(value, ensure_ascii=ascii_only)}" for key, value in pairs]
    written = f"[{{{','.join(members)}}}]".encode()
    if len({key for key, _ in pairs}) == len(pairs):
        assert strict_json.loads(written) == [dict(pairs)]
    else:
        with pytest.raises(Invalid, match="twice"):
            strict_json.loads(written)


def test_any_holds_a_message_that_names_its_type(contract: Contract, everything: Descriptor) -> None:
    kind = message_factory.GetMessageClass(everything)
    decode, encode = Decoders(contract.pool).message(everything), Encoders(contract.pool).message(everything)
    for inner in (
        {"@type": "type.googleapis.com/kith.shop.v1.Place", "room": "r", "floor": 1},
        {"@type": "type.googleapis.com/google.protobuf.Duration", "value": "1.500s"},
        {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "X", "domain": "", "metadata": {"a": "b"}},
        {"@type": "type.googleapis.com/google.protobuf.Struct", "value": {"a": [1.0]}},
        {
            "@type": "type.googleapis.com/google.protobuf.Any",
            "value": {"@type": "type.googleapis.com/google.protobuf.Int64Value", "value": "5"},
        },
    ):
        message = kind(**decode({"any": inner}))
        assert encode(message)["any"] == inner
        assert message == json_format.ParseDict({"any": inner}, kind(), descriptor_pool=contract.pool)
    strange = kind(any={"type_url": "type.googleapis.com/no.Such", "value": b"\x01"})
    assert encode(strange)["any"] == {"@type": "type.googleapis.com/no.Such", "value": "AQ=="}
    assert encode(kind(any={}))["any"] == {}
    assert kind(**decode({"any": {}})).HasField("any")


def test_the_largest_float_comes_back(contract: Contract, everything: Descriptor) -> None:
    kind = message_factory.GetMessageClass(everything)
    decode, encode = Decoders(contract.pool).message(everything), Encoders(contract.pool).message(everything)
    assert kind(**decode(encode(kind(a_float=LARGEST_FLOAT)))).a_float == LARGEST_FLOAT


def test_null_is_a_value_only_where_the_contract_says_so(contract: Contract, everything: Descriptor) -> None:
    kind = message_factory.GetMessageClass(everything)
    decode = Decoders(contract.pool).message(everything)
    message = kind(
        **decode({"value": None, "values": [None], "nullValue": None, "at": None, "words": None, "maybeString": None, "structs": None})
    )
    assert message.value.WhichOneof("kind") == message.values[0].WhichOneof("kind") == "null_value"
    assert not message.HasField("at")
    assert not message.HasField("maybe_string")


def test_a_number_that_is_newer_than_the_edge_stays_a_number(contract: Contract, everything: Descriptor) -> None:
    kind = message_factory.GetMessageClass(everything)
    assert Encoders(contract.pool).message(everything)(kind(color=77))["color"] == 77
