"""Phone numbers as people type them."""

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import PhoneNumberFormat

from kith.crm.v1.parts_pb2 import Phone
from services.crm.parts import phones


@pytest.mark.parametrize(
    ("typed", "region", "e164", "extension"),
    [
        ("+1 555-123-4567", "US", "+15551234567", ""),
        ("+1 555-123-4567", "DE", "+15551234567", ""),
        ("(555) 123-4567", "US", "+15551234567", ""),
        ("555.123.4567 x12", "US", "+15551234567", "12"),
        ("tel:+1-555-123-4567;ext=12", "US", "+15551234567", "12"),
        ("'+1 555 123 4567", "US", "+15551234567", ""),
        ("=+15551234567", "US", "+15551234567", ""),
        ('="+15551234567"', "US", "+15551234567", ""),
        ("020 7946 0958", "GB", "+442079460958", ""),
        ("+44 (0)20 7946 0958", "US", "+442079460958", ""),
        ("0044 20 7946 0958", "DE", "+442079460958", ""),
        ("0044 20 7946 0958", "US", "+442079460958", ""),
        ("011 44 20 7946 0958", "US", "+442079460958", ""),
        ("+39 06 1234567", "US", "+39061234567", ""),
        ("1-800-FLOWERS", "US", "+18003569377", ""),
        ("٠٢٠٧٩٤٦٠٩٥٨", "GB", "+442079460958", ""),
        ("＋1 555 123 4567", "US", "+15551234567", ""),  # noqa: RUF001 - a full-width plus is what is typed
    ],
)
def test_a_number_is_read_in_the_region_of_its_tenant(typed: str, region: str, e164: str, extension: str) -> None:
    assert phones.read(typed, region) == (e164, extension)


@pytest.mark.parametrize("typed", ["123-4567", "911", "call me", "n/a", "+", "555 123 4567 ask for Ann", "1" * 40, "+999 1"])
def test_what_nobody_could_dial_has_no_e164_form(typed: str) -> None:
    assert phones.read(typed, "US") == ("", "")


_INTERNATIONAL = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["", " ", "'", "=", '="', "tel:", "'tel:"]),
        st.sampled_from(["+", "\N{FULLWIDTH PLUS SIGN}"]),
        st.from_regex(r"[1-9][0-9 ().\-/x#A-Za-z;=,]{0,24}", fullmatch=True),
        st.sampled_from(["", '"', " ext. 7", ";ext=12"]),
    ),
)


@given(_INTERNATIONAL, st.sampled_from(["GB", "US", "DE", "IT", "JP"]))
def test_an_international_number_is_the_same_in_every_region(typed: str, region: str) -> None:
    phone, other = Phone(number=typed), Phone(number="020 7946 0958")
    assert not phones.needs_region([phone], [])
    assert phones.needs_region([phone, other], [])
    assert not phones.needs_region([phone, other], [other])
    assert phones.read(typed, region) == phones.read(typed, "")


def test_a_national_number_without_a_region_has_no_e164_form() -> None:
    assert phones.read("(555) 123-4567", "").e164 == ""


@pytest.mark.parametrize(
    ("searched", "kept", "region"),
    [
        ("5551234567", "+1 555-123-4567", "US"),
        ("15551234567", "+1 555-123-4567", "US"),
        ("+1 (555) 123 4567", "555.123.4567", "US"),
        ("020 7946 0958", "+44 20 7946 0958", "US"),
        ("2079460958", "+44 20 7946 0958", "US"),
        ("0044 20 7946 0958", "020 7946 0958", "GB"),
        ("011 44 20 7946 0958", "011 44 20 7946 0958", "US"),
        ("1-800-flowers", "1-800-FLOWERS", "US"),
        ("18003569377", "1-800-FLOWERS", "US"),
        ("123-4567", "1234567", "US"),
        ("555 123 4567", "555 123 4567 ask for Ann", "US"),
        ("555-123-4567 x12", "555-123-4567 x12", "US"),
        ("5551234567", "555-123-4567 x12", "US"),
    ],
)
def test_a_number_is_found_by_the_digits_that_people_type(searched: str, kept: str, region: str) -> None:
    assert phones.key(searched) in phones.keys(kept, phones.read(kept, region).e164)


@given(
    code=st.sampled_from(sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)),
    national=st.text("0123456789", min_size=5, max_size=12),
    breaks=st.lists(st.sampled_from([" ", "-", ".", " (", ") ", ""]), min_size=12, max_size=12),
)
def test_an_international_number_is_read_as_the_numbering_plans_say(code: int, national: str, breaks: list[str]) -> None:
    typed = f"+{code} " + "".join(f"{digit}{between}" for digit, between in zip(national, breaks, strict=False))
    assert phones.read(typed, "DE").e164 == by_plan(typed)


@pytest.mark.parametrize("region", sorted(phonenumbers.SUPPORTED_REGIONS))
def test_the_numbers_of_each_country_are_read_as_its_plan_says(region: str) -> None:
    for kind in phonenumbers.PhoneNumberType.values():
        number = phonenumbers.example_number_for_type(region, kind)
        if number is not None:
            typed = phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL)
            assert phones.read(typed, "DE").e164 == by_plan(typed)


def by_plan(typed: str) -> str:
    try:
        number = phonenumbers.parse(typed, "DE")
    except phonenumbers.NumberParseException:
        return ""
    possible = phonenumbers.is_possible_number_with_reason(number) == phonenumbers.ValidationResult.IS_POSSIBLE
    return phonenumbers.format_number(number, PhoneNumberFormat.E164) if possible else ""


@pytest.mark.parametrize("code", sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE))
def test_a_number_is_found_by_its_national_form_in_every_country(code: int) -> None:
    for region in phonenumbers.COUNTRY_CODE_TO_REGION_CODE[code]:
        number = phonenumbers.example_number(region) or phonenumbers.example_number_for_non_geo_entity(code)
        assert number is not None
        e164, national = (phonenumbers.format_number(number, form) for form in (PhoneNumberFormat.E164, PhoneNumberFormat.NATIONAL))
        assert phonenumbers.normalize_digits_only(national) in phones.keys(e164, e164)


def test_an_international_number_is_not_found_by_another_country_s() -> None:
    assert phones.key("+44 20 7946 0958") not in phones.keys("+1 442 079 4609", "+14420794609")


@pytest.mark.parametrize("typed", ["", "call me", "+", "x"])
def test_a_search_without_digits_is_none(typed: str) -> None:
    with pytest.raises(ValueError):
        phones.key(typed)


@given(st.text(max_size=100), st.sampled_from(["", "US", "GB", "DE", "IT", "JP"]))
def test_any_text_is_read_and_found_by_itself(typed: str, region: str) -> None:
    number = phones.read(typed, region)
    assert number.e164 == "" or (number.e164[0] == "+" and number.e164[1:].isdigit())
    found = phones.keys(typed, number.e164)
    try:
        assert phones.key(typed) in found
    except ValueError:
        assert not {key for key in found if key not in {number.e164, number.e164[1:]}} or number.e164


@given(st.text(max_size=100), st.sampled_from(["US", "GB", "IT"]))
def test_an_e164_form_reads_as_itself_everywhere(typed: str, region: str) -> None:
    e164 = phones.read(typed, region).e164
    if e164:
        assert phones.read(e164, "FR").e164 == e164
