"""Etags are row versions in quotes; a stale one is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis import etags
from chassis.errors import InvalidArgument

versions = st.integers(min_value=1, max_value=10**18 - 1)


@given(versions)
def test_an_etag_leads_back_to_its_version(version: int) -> None:
    assert etags.version(etags.of(version)) == version


@given(versions, versions)
def test_only_the_stored_etag_passes(stored: int, given_: int) -> None:
    assert etags.fits(etags.of(stored), etags.of(given_)) == (stored == given_)


def test_no_etag_means_whatever_is_there() -> None:
    assert etags.fits('"7"', "")


@pytest.mark.parametrize("text", ["3", '"0"', '"-1"', '"03"', 'W/"3"', '"3" ', '"x"', '"' + "9" * 19 + '"', "*"])
def test_what_is_no_etag_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        etags.version(text, field="contact.etag")
    assert refused.value.fields[0].field == "contact.etag"
