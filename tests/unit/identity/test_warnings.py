"""A warning names a device by what is known of it, never by what its caller wrote."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.identity.warnings import rules

CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36"


@pytest.mark.parametrize(
    ("user_agent", "device"),
    [
        (CHROME, "Chrome, Windows"),
        (f"{CHROME} Edg/156.0.0.0", "Edge, Windows"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0", "Firefox, Linux"),
        ("Mozilla/5.0 (Linux; Android 16) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Mobile Safari/537.36", "Chrome, Android"),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 26_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/604.1",
            "Safari, iOS",
        ),
        ("python-httpx/0.28.1", "python-httpx"),
        ("curl/8.5.0", "curl"),
        ("https://evil.example", "?"),
        ("evil.example/1", "?"),
        ("", "?"),
    ],
)
def test_a_device_has_a_name(user_agent: str, device: str) -> None:
    assert rules.device(user_agent) == device


@given(st.text())
def test_no_link_stands_in_the_name_of_a_device(user_agent: str) -> None:
    assert not set(rules.device(user_agent)) & set(".:/@\n")


def test_a_time_is_that_of_its_reader_s_clock() -> None:
    assert rules.time(datetime(2026, 7, 1, 22, 30, tzinfo=UTC), "Europe/Vienna") == "2026-07-02 00:30 (Europe/Vienna)"
