"""Texts and tags as people type them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis import tags, texts


@pytest.mark.parametrize(
    ("left", "right"), [("Ängström", "angstrom"), ("  Ann   Lee ", "ann lee"), ("STRASSE", "straße"), ("José", "jose"), ("\uff21nn", "ann")]
)
def test_folded_texts_have_no_case_accents_and_surplus_spaces(left: str, right: str) -> None:
    assert texts.fold(left) == texts.fold(right)


def test_names_are_sorted_without_case_and_accents() -> None:
    assert sorted(["zoe", "Émile", "Anders", "Emil"], key=texts.bare) == ["Anders", "Emil", "Émile", "zoe"]


@given(st.text(max_size=300))
def test_folding_twice_is_folding_once_and_fits_an_index(text: str) -> None:
    folded = texts.fold(text)
    assert texts.fold(folded) == folded
    assert len(folded.encode()) <= 4 * texts.FOLDED_LENGTH


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b"])
def test_what_postgresql_cannot_hold_is_refused(text: str) -> None:
    assert [violation.field for violation in texts.check("title", text, 100)] == ["title"]


def test_tags_stand_once_and_none_is_empty() -> None:
    assert tags.tidy([" a", "b", "a "]) == ["a", "b"]
    assert [violation.field for violation in tags.check(["a", "", "x" * 51])] == ["tags[1]", "tags[2]"]
