"""What the chassis's unit tests share."""

from collections.abc import Iterator

import pytest

from chassis import clock
from tests.unit.chassis.moving import Clock


@pytest.fixture
def time() -> Iterator[Clock]:
    moved = Clock()
    mark = clock.source.set(moved)
    yield moved
    clock.source.reset(mark)
