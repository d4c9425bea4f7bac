"""Rate limits: fair by principal, bounded in memory, told in headers."""

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.environment import SettingsError, read
from chassis.errors import Reason
from gateway.addresses import block
from gateway.limits import Buckets, Rate, Tier, TierLimit
from gateway.settings import EdgeSettings
from tests.gateway.shop.client import Client

TIGHT = {"rate_scale": 1, "rate_limits": {"READ": Tier(principal=Rate(count=60, burst=2), tenant=Rate(count=60, burst=3))}}


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def tight(edge_with: Callable[..., Client], monkeypatch: pytest.MonkeyPatch) -> Client:
    """An edge with narrow limits, for which no time passes: on a slow machine buckets would fill up meanwhile."""
    monkeypatch.setattr(TierLimit.__init__, "__kwdefaults__", {"clock": Clock()})
    return edge_with(**TIGHT)


async def test_what_is_left_is_told(tight: Client) -> None:
    headers = {"authorization": "Bearer t1/u1"}
    answers = [await tight("GET", "/v1/shelves/1", headers=headers) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert [answer.headers["ratelimit"] for answer in answers] == ['"read";r=1;t=1', '"read";r=0;t=2', '"read";r=0;t=1']
    assert answers[0].headers["ratelimit-policy"] == '"read";q=60;w=60, "read-tenant";q=60;w=60'
    assert (answers[2].code, answers[2].headers["retry-after"]) == (Reason.RATE_LIMITED, "1")


async def test_another_user_of_the_tenant_has_a_bucket_of_their_own_in_the_tenants(tight: Client) -> None:
    said = [
        (await tight("GET", "/v1/shelves/1", headers={"authorization": f"Bearer {who}"})).status
        for who in ("t/a", "t/a", "t/b", "t/b", "x/a")
    ]
    assert said == [200, 200, 200, 429, 200]


async def test_strangers_are_counted_by_address_and_refused_calls_count_too(tight: Client) -> None:
    assert [(await tight("GET", "/v1/shelves/1")).status for _ in range(3)] == [401, 401, 429]


async def test_tiers_do_not_share(tight: Client) -> None:
    for _ in range(3):
        await tight("GET", "/v1/probes/1")
    assert (await tight("POST", "/v1/shelves", {})).status == 200


async def test_more_requests_than_the_edge_takes_are_refused(edge_with) -> None:
    call = edge_with(concurrent_requests=1)
    slow, answer = await asyncio.gather(call("POST", "/v1/echo", chunks=[b"{", b"}"], pause=0.05), call("GET", "/v1/probes/1"))
    assert (slow.status, answer.status, answer.code) == (200, 503, "OVERLOADED")


@given(
    burst=st.integers(1, 20),
    count=st.integers(1, 1000),
    steps=st.lists(st.floats(0, 5), min_size=1, max_size=60),
)
def test_no_window_ever_holds_more_than_burst_and_rate(burst: int, count: int, steps: list[float]) -> None:
    clock = Clock()
    buckets = Buckets(Rate(count=count, seconds=10, burst=burst), clock=clock)
    taken = []
    for step in steps:
        clock.now += step
        if buckets.take("k").allowed:
            taken.append(clock.now)
    for first in range(len(taken)):
        for last in range(first, len(taken)):
            assert last - first + 1 <= burst + (taken[last] - taken[first]) * count / 10 + 1e-3


def test_a_refused_call_is_told_when_to_come_back() -> None:
    clock = Clock()
    buckets = Buckets(Rate(count=1, seconds=10, burst=1), clock=clock)
    assert buckets.take("k").allowed
    clock.now += 4
    answer = buckets.take("k")
    assert (answer.allowed, answer.reset) == (False, pytest.approx(6))
    clock.now += answer.reset
    assert buckets.take("k").allowed


def test_memory_is_bounded_and_the_least_recent_goes_first() -> None:
    buckets = Buckets(Rate(count=1, seconds=1000, burst=1), clock=Clock(), max_keys=3)
    for key in ("a", "b", "c", "a", "d"):
        buckets.take(key)
    assert len(buckets) == 3
    assert not buckets.take("a").allowed
    assert buckets.take("b").allowed


def test_a_customer_of_ipv6_is_one_block() -> None:
    assert block("2001:db8::1") == block("2001:db8::ffff:1") == "2001:db8::"
    assert block("192.0.2.1") == "192.0.2.1"
    assert block("unix") == "unix"


def limits(said: str) -> dict[str, Tier]:
    keys = {"KITH_SERVICE_KEY_FILE": "key", "KITH_SERVICE_KEYS_FILE": "keys", "KITH_NATS_URL": "nats://127.0.0.1:1"}
    return read(EdgeSettings, {"KITH_PORT": "8080", "KITH_ADMIN_PORT": "7200", **keys, "KITH_RATE_LIMITS": said}).rate_limits


def test_limits_are_said_by_tier() -> None:
    said = (
        '{"WRITE": {"principal": {"count": 9, "seconds": 3, "burst": 4}}, "READ": {"principal": {"count": 1, "burst": 1}, "tenant": null}}'
    )
    assert limits(said) == {
        "WRITE": Tier(principal=Rate(count=9, seconds=3, burst=4)),
        "READ": Tier(principal=Rate(count=1, burst=1)),
    }


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ('{"NOSUCH": {"principal": {"count": 1, "burst": 1}}}', "knows no tier NOSUCH"),
        ('{"READ": {}}', "rates principal"),
        ('{"READ": 1}', "rates principal"),
        ('{"READ": {"principal": 1}}', "rates principal"),
        ('{"READ": {"principal": {"count": 1}}}', "count, seconds and burst"),
        ('{"READ": {"principal": {"count": "1", "burst": 1}}}', "count, seconds and burst"),
        ('{"READ": {"principal": {"count": 1, "burst": 1}, "other": {"count": 1, "burst": 1}}}', "rates principal"),
        ('{"READ": {"principal": {"count": 0, "burst": 1}}}', "count and seconds above 0"),
        ('{"READ": {"principal": {"count": 1, "burst": 0}}}', "a burst of at least 1"),
        ('{"READ": {"principal": {"count": 1, "burst": 1.5}}}', "a whole number"),
        ('{"READ": {"principal": {"count": 1, "burst": true}}}', "a whole number"),
        ("60", "must be a JSON object"),
    ],
)
def test_a_limit_that_cannot_be_stops_the_start(said: str, why: str) -> None:
    with pytest.raises(SettingsError, match=f"^KITH_RATE_LIMITS: .*{why}"):
        limits(said)


async def test_health_is_never_limited(tight: Client) -> None:
    assert {(await tight("GET", "/livez")).status for _ in range(5)} == {200}


def test_edges_that_tell_each_other_what_they_counted_hold_one_limit() -> None:
    clock = Clock()
    edges = [Buckets(Rate(count=10, seconds=10, burst=5), clock=clock) for _ in range(3)]
    allowed = 0
    for _ in range(300):
        clock.now += 0.2
        allowed += sum(edge.take("k").allowed for edge in edges)
        for edge in edges:
            news = edge.news()
            for other in edges:
                if other is not edge:
                    other.add(news)
    assert 60 <= allowed <= 60 + 3 * 5


def test_what_was_told_is_not_told_again_and_does_not_grow() -> None:
    buckets = Buckets(Rate(count=1000, seconds=1, burst=1000), clock=Clock(), max_keys=3)
    for key in ("a", "a", "b"):
        buckets.take(key)
    assert (buckets.news(), buckets.news()) == ({"a": 2, "b": 1}, {})
    for number in range(10):
        buckets.take(str(number))
    assert len(buckets.news()) <= 4
    buckets.add({str(number): 1 for number in range(10)})
    assert len(buckets) == 3
