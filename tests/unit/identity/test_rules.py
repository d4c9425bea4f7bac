"""ID-1: what registration takes as a name, an address, a locale, a zone and a region."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.identity import rules


@pytest.mark.parametrize("name", ["A", "Öğrenci & Söhne", "می‌خواهم", "x" * 200])
def test_names_of_any_script_are_taken(name: str):
    assert not list(rules.name_violations("name", rules.tidy(name)))


@pytest.mark.parametrize("name", ["", "   ", "x" * 201, "two\nlines", "nul\0", "a\u2028b"])
def test_empty_long_and_broken_names_are_refused(name: str):
    assert [each.field for each in rules.name_violations("name", rules.tidy(name))] == ["name"]


def test_the_letters_of_an_address_count_in_one_case_and_its_look_is_kept():
    email = rules.parse_email("  Some.One@EXAMPLE.com ")
    assert email == ("Some.One@example.com", "some.one@example.com")


@pytest.mark.parametrize("text", ["", "a", "a@", "@b.com", "a@b", "a b@example.com", "a@exa mple.com", "a@example.com, b@example.com"])
def test_what_is_no_address_is_refused(text: str):
    assert [each.field for each in rules.email_violations("email", rules.parse_email(text))] == ["email"]


@given(st.text(max_size=60))
def test_an_address_is_read_or_refused_but_never_breaks(text: str):
    email = rules.parse_email(text)
    assert email == rules.NO_EMAIL or rules.parse_email(email.address) == email


@pytest.mark.parametrize("locale", ["en", "en-GB", "sr-Latn-RS", "es-419", "fil"])
def test_locales_of_language_script_and_region_are_taken(locale: str):
    assert not list(rules.locale_violations("locale", locale))


@pytest.mark.parametrize("locale", ["", "english", "en_GB", "EN", "en-gb", "en-"])
def test_other_locales_are_refused(locale: str):
    assert list(rules.locale_violations("locale", locale))


def test_zones_and_regions_are_those_of_the_time_zone_database():
    assert not list(rules.time_zone_violations("time_zone", "Europe/Paris"))
    assert list(rules.time_zone_violations("time_zone", "Europe/Atlantis"))
    assert not list(rules.region_violations("region", "FR"))
    assert list(rules.region_violations("region", "ZZ"))


def test_the_region_comes_from_the_locale_when_that_names_one():
    assert [rules.region_of(locale) for locale in ("en-GB", "sr-Latn-RS", "es-419", "en", "fr-ZZ")] == ["GB", "RS", "", "", ""]
