"""Cells of CSV files: no formula gets out, and whatever was written is read again."""

import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis import sheets

SEMICOLON = re.compile(r"\s*;\s*")
LINE = re.compile(r"\r\n|\r|\n")
CELLS = st.text(st.sampled_from("'=+-@\t\r\n\"; ,|a1\uff1d")) | st.text()


@pytest.mark.parametrize("cell", ["=1+1", "+49 30 1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1+1", "'=1", "''+1"])  # noqa: RUF001 - full width
def test_a_formula_is_guarded_and_comes_back(cell: str) -> None:
    assert sheets.safe(cell) == f"'{cell}"
    assert sheets.unguarded(f"'{cell}") == cell


@pytest.mark.parametrize("cell", ["", "Ann", "'tis", "1-1", "''", " =1", "'1'="])
def test_any_other_cell_stays_as_it_is(cell: str) -> None:
    assert sheets.safe(cell) == cell == sheets.unguarded(cell)


@given(CELLS)
def test_what_is_guarded_is_never_a_formula_and_nothing_is_lost(cell: str) -> None:
    assert not sheets.safe(cell).startswith(("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"))
    assert sheets.unguarded(sheets.safe(cell)) == cell


@given(st.lists(st.text(st.characters(codec="utf-8")), min_size=1))
def test_lines_are_read_again_as_they_were(row: list[str]) -> None:
    text = sheets.lines([row]).decode()
    assert text.endswith("\r\n")
    assert [[sheets.unguarded(cell) for cell in each] for each in csv.reader(io.StringIO(text, newline=""))] == [row]


@given(st.lists(CELLS, min_size=1).filter(any))
def test_a_list_in_a_cell_is_read_again_with_its_empty_entries(entries: list[str]) -> None:
    assert sheets.separated(sheets.joined(entries).strip(), SEMICOLON) == entries
    assert sheets.separated(sheets.joined(entries, sheets.BETWEEN_LINES), LINE) == entries


def test_a_list_looks_as_people_write_one() -> None:
    assert sheets.joined(["a@example.com", "b@example.com"]) == "a@example.com; b@example.com"
    assert sheets.joined(["VIP, gold", 'say "hi"', "x"]) == '"VIP, gold"; "say ""hi"""; x'
    assert sheets.joined(["12 High Street, Flat 1", "Hill"], sheets.BETWEEN_LINES) == "12 High Street, Flat 1\nHill"
    assert sheets.joined(["", ""]) == sheets.joined([]) == ""


@pytest.mark.parametrize(
    ("cell", "entries"),
    [
        ("a;b ; c", ["a", "b", "c"]),
        ('"a;b"; c', ["a;b", "c"]),
        ('"a" b; c', ['"a" b', "c"]),
        ('"a; b', ['"a', "b"]),
        ("; b", ["", "b"]),
    ],
)
def test_what_people_wrote_themselves_is_taken_as_it_seems(cell: str, entries: list[str]) -> None:
    assert sheets.separated(cell, SEMICOLON) == entries
