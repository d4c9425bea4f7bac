"""The key set survives errors and floods of unknown key ids."""

import asyncio
import json

import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey
from structlog.testing import capture_logs

from chassis.errors import Reason, Unauthenticated, Unavailable
from chassis.tokens.keyset import TOLD, KeySet, parse
from tests.unit.chassis.moving import eventually


def public(key_id: str, **changes: object) -> dict[str, object]:
    return {**ECKey.generate_key("P-256").as_dict(private=False), "kid": key_id, **changes}


class Source:
    def __init__(self, *keys: dict[str, object]) -> None:
        self.keys = list(keys)
        self.fetches = 0
        self.broken: Exception | None = None

    async def __call__(self) -> bytes:
        self.fetches += 1
        await asyncio.sleep(0)
        if self.broken:
            raise self.broken
        return json.dumps({"keys": self.keys}).encode()


async def test_a_flood_of_unknown_ids_costs_one_fetch() -> None:
    source = Source(public("known"))
    keys = KeySet(source)
    await keys.refresh()
    answers = await asyncio.gather(*(keys.find(f"unknown {number}") for number in range(50)), return_exceptions=True)
    assert {type(answer) for answer in answers} == {Unauthenticated}
    assert source.fetches == 2
    assert (await keys.find("known")).kid == "known"


async def test_a_new_key_is_found_by_its_first_token() -> None:
    source = Source(public("old"))
    keys = KeySet(source)
    await keys.find("old")
    source.keys.append(public("new"))
    with pytest.raises(Unauthenticated):
        await keys.find("new")  # the last fetch is not long enough ago
    keys = KeySet(source, pause=0)
    await keys.find("old")
    assert (await keys.find("new")).kid == "new"


@pytest.mark.parametrize("broken", [Unavailable(Reason.UNAVAILABLE, "down"), ConnectionError(), ValueError()], ids=repr)
async def test_an_error_leaves_the_keys_that_are_there(broken: Exception) -> None:
    source = Source(public("known"))
    keys = KeySet(source, pause=0)
    await keys.find("known")
    source.broken = broken
    await keys.refresh()
    assert "known" in keys


async def test_an_empty_answer_leaves_the_keys_that_are_there() -> None:
    source = Source(public("known"))
    keys = KeySet(source)
    await keys.find("known")
    source.keys = []
    await keys.refresh()
    assert "known" in keys


async def test_without_any_key_nobody_is_called_a_liar() -> None:
    source = Source()
    source.broken = ConnectionError()
    with pytest.raises(Unavailable):
        await KeySet(source).find("any")


async def test_a_withdrawn_key_is_gone_when_poked() -> None:
    source = Source(public("stays"), public("goes"))
    keys = KeySet(source)
    task = asyncio.create_task(keys.keep_fresh())
    await eventually(lambda: "goes" in keys)
    source.keys.pop()
    keys.poke()
    await eventually(lambda: "goes" not in keys)
    assert "stays" in keys
    assert source.fetches == 2
    task.cancel()


async def test_a_caller_that_gives_up_leaves_the_fetch_to_the_others() -> None:
    keys = KeySet(Source(public("known")))
    first = asyncio.create_task(keys.find("known"))
    second = asyncio.create_task(keys.find("known"))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).kid == "known"


def test_keys_of_other_kinds_are_passed_over() -> None:
    others = [
        RSAKey.generate_key(2048).as_dict(private=False, kid="rsa"),
        OctKey.generate_key(256).as_dict(private=True, kid="secret"),
        ECKey.generate_key("P-384").as_dict(private=False, kid="curve"),
        ECKey.generate_key("P-256").as_dict(private=True, kid="private"),
        public("encryption", use="enc"),
        public("algorithm", alg="ES384"),
        public("no point", x="AA"),
        {name: value for name, value in public("no x").items() if name != "x"},
        {name: value for name, value in public("x").items() if name != "kid"},
        "text",
    ]
    assert list(parse(json.dumps({"keys": [*others, public("good")]}).encode())) == ["good"]


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"keys":{}}', b'{"keys":[]}', b"\xff"], ids=repr)
def test_what_is_no_key_set_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError):
        parse(raw)


async def test_failures_are_told_when_they_are_more_than_a_start() -> None:
    source = Source(public("known"))
    source.broken = ConnectionError()
    keys = KeySet(source)
    with capture_logs() as logs:
        for _ in range(TOLD - 1):
            await keys.refresh()
        assert logs == []
        await keys.refresh()
        source.broken = None
        await keys.refresh()
        source.broken = ConnectionError()
        await keys.refresh()
    assert [line["failures"] for line in logs] == [TOLD, 1]
