"""A small internet for each test."""

import pytest

from tests.unit.chassis.egress.internet import Authority, Internet


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def internet(authority: Authority) -> Internet:
    return Internet(authority)
