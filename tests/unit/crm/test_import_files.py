"""Files as people have them: what the sniffer finds, in whatever pieces they come, and which rows are read."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
from google.api.httpbody_pb2 import HttpBody
from hypothesis import given
from hypothesis import strategies as st

from chassis.database.pool import CrowdedError
from kith.crm.v1.imports_pb2 import Import, UploadImportRequest
from kith.crm.v1.parts_pb2 import RECORD_KIND_CONTACT
from services.crm.imports import rules, sheet, store, uploading
from services.crm.imports.columns import propose
from services.crm.imports.failure import FileError
from services.crm.imports.sniff import Sheet, Sniffer

ROWS = [["Zoë", "z@example.com"]]
TEXT = "name;email\r\nZoë;z@example.com\r\n"
ODD = {
    "bom": ("\ufeff" + TEXT).encode(),
    "latin-1": TEXT.encode("latin-1"),
    "utf-16 with a mark, little end first": b"\xff\xfe" + TEXT.encode("utf-16-le"),
    "utf-16 with a mark, big end first": b"\xfe\xff" + TEXT.encode("utf-16-be"),
    "utf-16 without a mark, little end first": TEXT.encode("utf-16-le"),
    "utf-16 without a mark, big end first": TEXT.encode("utf-16-be"),
    "utf-32": TEXT.encode("utf-32"),
    "said delimiter": ("sep=;\r\n" + TEXT).encode(),
}
NO_TABLE = {
    b"": "the file is empty",
    b"\xef\xbb\xbf": "the file is empty",
    b" \r\n\t\n": "the file is empty",
    b",,\r\n,,\r\n": "the file holds no row",
    b"PK\x03\x04\x14\x00": "a ZIP archive",
    b"PK\x05\x06" + bytes(18): "an empty ZIP archive",
    b"\xd0\xcf\x11\xe0\xa1\xb1": "a workbook",
    b"\x1f\x8b\x08\x00": "a gzip archive",
    b"%PDF-1.7": "a PDF document",
}


def sniffed(content: bytes, cuts: set[int] | None = None) -> Sheet:
    sniffer = Sniffer()
    places = [0, *sorted(cuts or ()), len(content)]
    for start, end in pairwise(places):
        sniffer.feed(content[start:end])
    assert sniffer.size == len(content)
    return sniffer.sheet()


def read(content: bytes) -> list[list[str]]:
    found = sniffed(content)
    return [line.cells for line in sheet.lines(io.BytesIO(content), found.encoding, found.delimiter, has_header=found.has_header)]


@given(st.data())
@pytest.mark.parametrize("content", ODD.values(), ids=ODD)
def test_a_file_is_the_same_in_whatever_pieces_it_comes(content: bytes, data: st.DataObject) -> None:
    found = sniffed(content, data.draw(st.sets(st.integers(0, len(content)), max_size=8)))
    assert (found.delimiter, found.has_header, found.headers, found.samples) == (";", True, ["name", "email"], ROWS)
    assert read(content) == ROWS


@given(st.data())
@pytest.mark.parametrize(("content", "why"), NO_TABLE.items())
def test_what_is_no_table_is_refused_in_whatever_pieces_it_comes(content: bytes, why: str, data: st.DataObject) -> None:
    cuts = data.draw(st.sets(st.integers(0, len(content)), max_size=4))
    with pytest.raises(FileError, match=why):
        sniffed(content, cuts)


def test_a_nul_in_a_cell_is_no_utf_16() -> None:
    found = sniffed(b"name,email\n\0Zoe,z@example.com\n")
    assert (found.encoding, found.samples) == ("utf-8", [["\0Zoe", "z@example.com"]])


def test_line_breaks_and_delimiters_in_quotes_are_part_of_their_cell() -> None:
    assert read(b'name;street\r\n"Zoe;""Z""";"1 High St\r\nFlat 2"\r\nBob;\r\n') == [['Zoe;"Z"', "1 High St\r\nFlat 2"], ["Bob", ""]]


@pytest.mark.parametrize(
    ("header", "fields"),
    [
        (["Email", "Email", "e-mail"], ["emails", "emails", "emails"]),
        (["Name", "Name"], ["name", ""]),
        (["First name", "first name", "Surname"], ["given_name", "", "family_name"]),
    ],
)
def test_headers_that_come_twice_are_given_to_one_column_unless_their_field_is_a_list(header: list[str], fields: list[str]) -> None:
    assert propose(RECORD_KIND_CONTACT, header, []) == fields


def test_columns_without_a_header_are_numbered_and_told_by_what_they_hold() -> None:
    found = sniffed(b"Zoe,z@example.com,555 123 4567\nBob,b@example.com,555 123 4568\n")
    assert (found.has_header, found.headers) == (False, ["Column 1", "Column 2", "Column 3"])
    assert propose(RECORD_KIND_CONTACT, found.headers, found.samples) == ["", "emails", "phones"]


async def test_an_upload_waits_for_a_database_that_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is many transactions: none of them may cost all of it (a 503 behind 17 MB was seen once)."""
    kept: list[tuple[int, bytes]] = []
    refusals = iter([True, True, False, True, False])

    @asynccontextmanager
    async def unit_of_work() -> AsyncIterator[None]:
        if next(refusals):
            raise CrowdedError("busy")
        yield

    async def add_chunk(_: Any, __: str, number: int, data: bytes) -> None:
        kept.append((number, data))

    async def known(*_: Any) -> Import:
        return Import(id="known")

    async def pieces() -> AsyncIterator[UploadImportRequest]:
        for data in (b"abc", b"def"):
            yield UploadImportRequest(content=HttpBody(data=data))

    monkeypatch.setattr(uploading, "unit_of_work", unit_of_work)
    monkeypatch.setattr(store, "add_chunk", add_chunk)
    monkeypatch.setattr(rules, "CHUNK", 4)
    for name in ("_begin", "_complete"):
        monkeypatch.setattr(uploading, name, known)
    async with asyncio.timeout(60):
        await uploading.receive(pieces())
    assert kept == [(1, b"abcd"), (2, b"ef")]
