"""A call takes the process that has least to do, and none whose stream does not stand."""

from dataclasses import dataclass
from typing import cast

import pytest

from chassis.carrier.lanes import Lanes
from chassis.carrier.spread import Spread
from gateway.upstreams import processes


@dataclass
class FakeLane:
    load: int


@dataclass
class FakeLanes:
    lane: FakeLane | None


def spread(*lanes: FakeLane | None) -> Spread:
    return Spread(cast("list[Lanes]", [FakeLanes(lane) for lane in lanes]))


def test_the_one_with_the_least_to_do_is_taken() -> None:
    busy, idle = FakeLane(5), FakeLane(1)
    assert cast("FakeLane", spread(busy, idle).lane) is idle
    assert cast("FakeLane", spread(busy, None).lane) is busy
    assert spread(None, None).lane is None
    assert spread(None).lane is None


@pytest.mark.parametrize(
    ("target", "addresses"),
    [
        ("127.0.0.1:7102", []),
        ("dns:///crm:7102", []),
        ("ipv4:127.0.0.1:7102", []),
        ("ipv4:127.0.0.1:7102,127.0.0.1:7103", ["127.0.0.1:7102", "127.0.0.1:7103"]),
        ("ipv6:[::1]:7102,[::1]:7103", ["[::1]:7102", "[::1]:7103"]),
    ],
)
def test_a_target_may_name_several_processes(target: str, addresses: list[str]) -> None:
    assert processes(target) == addresses
