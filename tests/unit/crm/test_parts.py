"""Emails, domains and addresses as people type them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kith.crm.v1.parts_pb2 import Address, Email
from services.crm.parts import addresses, domains, emails


@pytest.mark.parametrize(
    ("typed", "kept", "key"),
    [
        ("Ann.Lee@Example.COM", "Ann.Lee@example.com", "ann.lee@example.com"),
        (" ann@example.com ", "ann@example.com", "ann@example.com"),
        ("ann@MÜNCHEN.de", "ann@münchen.de", "ann@xn--mnchen-3ya.de"),
        ("ann@xn--mnchen-3ya.de", "ann@xn--mnchen-3ya.de", "ann@xn--mnchen-3ya.de"),
        ("STRASSE@example.com", "STRASSE@example.com", "strasse@example.com"),
        ("straße@example.com", "straße@example.com", "strasse@example.com"),
    ],
)
def test_an_email_is_kept_as_typed_and_matched_normalised(typed: str, kept: str, key: str) -> None:
    assert emails.read(typed) == (kept, key, "")
    assert emails.read(kept) == (kept, key, "")


@pytest.mark.parametrize("typed", ["", "ann", "ann@", "@example.com", "ann@example", "a b@example.com", "Ann <a@example.com>", "a@1.2.3.4"])
def test_what_is_no_email_is_refused_with_its_place(typed: str) -> None:
    violations = list(emails.check([Email(address="ann@example.com"), Email(address=typed)]))
    assert [violation.field for violation in violations] == ["emails[1].address"]


def test_a_list_that_is_too_long_is_refused_as_a_whole() -> None:
    violations = list(emails.check([Email(address="ann@example.com")] * 21))
    assert [violation.field for violation in violations] == ["emails"]


@pytest.mark.parametrize(
    "typed",
    [
        "example.com", "Example.COM", "www.example.com", "https://www.example.com/about?x=1#top", "http://example.com:8080",
        "example.com:8080", "example.com.", "//example.com/", " example.com ", "mailto:ann@example.com",
    ],
)  # fmt: skip
def test_a_domain_has_one_form(typed: str) -> None:
    assert domains.read(typed) == "example.com"


def test_an_international_domain_has_one_form() -> None:
    assert domains.read("xn--mnchen-3ya.de") == domains.read("MÜNCHEN.de") == "münchen.de"


@pytest.mark.parametrize(
    "typed", ["localhost", "1.2.3.4", "foo bar.com", "ex_ample.com", "a..com", "http://[::1]/", "x" * 64 + ".com", "a\0b.com"]
)
def test_what_is_no_domain_is_refused(typed: str) -> None:
    kept = domains.tidy(typed)
    assert [violation.field for violation in domains.check(kept)] == ["domain"]


@given(st.text(max_size=60))
def test_a_domain_is_tidied_once(typed: str) -> None:
    assert domains.tidy(domains.tidy(typed)) == domains.tidy(typed)


def test_an_address_is_tidied() -> None:
    address = Address(lines=["1 Main Street ", " "], city=" Springfield", region="us")
    addresses.tidy(address)
    assert address == Address(lines=["1 Main Street"], city="Springfield", region="US")
    assert not list(addresses.check(address))


def test_what_is_wrong_with_an_address_is_said_by_field() -> None:
    address = Address(lines=["a"] * 6, postal_code="1" * 21, region="ZZ")
    assert [violation.field for violation in addresses.check(address)] == ["address.lines", "address.postal_code", "address.region"]
