"""Imports whose files were read wrongly: somebody says encoding, delimiter or header, and the file is read anew."""

from typing import Any

import pytest

from kith.crm.v1 import imports_pb2
from kith.crm.v1.imports_pb2 import Import, ImportEncoding, RereadImportRequest
from services.crm.imports import reading
from tests.service.crm.conftest import refused
from tests.service.crm.test_imports import Imports, counts, imports, people, rows

__all__ = ["imports", "people"]


async def reread(imports: Imports, current: Import, **how: Any) -> Import:
    now: Import = await imports.call.RereadImport(RereadImportRequest(id=current.id, **how))
    return now


async def test_a_file_is_read_as_somebody_says(imports: Imports, people: Any) -> None:
    uploaded = await imports.upload("name|note,email\nЮлия|a,b,c\n".encode("koi8-r"))
    now = await reread(imports, uploaded, encoding=imports_pb2.IMPORT_ENCODING_KOI8_R, delimiter="|", has_header=False)
    assert (now.encoding, now.delimiter, now.has_header) == ("koi8-r", "|", False)
    assert [column.header for column in now.columns] == ["Column 1", "Column 2"]
    assert (await imports.get(now.id)) == now
    detected = await reread(imports, now)
    assert [detected.encoding, detected.delimiter, *detected.columns] == [uploaded.encoding, uploaded.delimiter, *uploaded.columns]
    now = await reread(imports, now, encoding=imports_pb2.IMPORT_ENCODING_KOI8_R, delimiter="|")
    assert [(column.header, column.field) for column in now.columns] == [("name", "name"), ("note,email", "")]
    await imports.start(now.id)
    assert counts((await imports.end(now.id)).report) == (1, 0, 0, 0)
    assert set(await people()) == {"Юлия"}


async def test_a_dry_run_is_forgotten_with_the_way_in_which_the_file_was_read(imports: Imports, people: Any) -> None:
    uploaded = await imports.upload("email\nann@example.com\nbob@example.com\n")
    await imports.start(uploaded.id, validate_only=True)
    tried = await imports.end(uploaded.id)
    assert (tried.row_count, counts(tried.preview)) == (2, (2, 0, 0, 0))
    now = await reread(imports, uploaded, has_header=False)
    assert (now.row_count, now.HasField("preview")) == (0, False)
    await imports.start(now.id, fields=["emails"])
    done = await imports.end(now.id)
    assert (done.row_count, counts(done.report), set(await people())) == (3, (2, 0, 0, 1), {"ann@example.com", "bob@example.com"})


MARKED = [
    pytest.param("name\nЮлия\n".encode("utf-8-sig"), "UTF_8", "utf-8-sig", id="utf-8 with a mark"),
    pytest.param("name\nЮлия\n".encode("utf-16-le"), "UTF_16LE", "utf-16-le", id="utf-16"),
    pytest.param("\ufeffname\nЮлия\n".encode("utf-16-be"), "UTF_16BE", "utf-16", id="utf-16 with a mark"),
]


@pytest.mark.parametrize(("content", "said", "encoding"), MARKED)
async def test_a_byte_order_mark_is_no_part_of_the_first_header(imports: Imports, content: bytes, said: str, encoding: str) -> None:
    now = await reread(imports, await imports.upload(content), encoding=f"IMPORT_ENCODING_{said}")
    assert (now.encoding, [column.header for column in now.columns]) == (encoding, ["name"])


WRONG = [
    pytest.param(rows(1000).encode() + b"Zo\xeb,Last,z@example.com\n", {"encoding": "IMPORT_ENCODING_UTF_8"}, id="a byte far behind"),
    pytest.param(b"name,email\n" + b"x" * 2, {"encoding": "IMPORT_ENCODING_UTF_16LE"}, id="half a character"),
    pytest.param("\ufeffname\n".encode("utf-16-le"), {"encoding": "IMPORT_ENCODING_UTF_16BE"}, id="another mark"),
    pytest.param("\ufeffname\n".encode(), {"encoding": "IMPORT_ENCODING_WINDOWS_1252"}, id="a mark of utf-8"),
    pytest.param(b"name\nZoe\n", {"encoding": 99}, id="no encoding"),
    pytest.param(b"name\nZoe\n", {"delimiter": "::"}, id="two characters"),
    pytest.param(b"name\nZoe\n", {"delimiter": "\n"}, id="a line break"),
]


@pytest.mark.parametrize(("content", "how"), WRONG)
async def test_what_the_file_is_not_is_refused_and_leaves_it_as_it_was(imports: Imports, content: bytes, how: dict[str, Any]) -> None:
    uploaded = await imports.upload(content)
    refusal = await refused(reread(imports, uploaded, **how))
    assert (refusal.reason, refusal.fields) == ("FIELD_INVALID", list(how))
    assert await imports.get(uploaded.id) == uploaded


async def test_only_what_is_ready_is_read_anew(imports: Imports) -> None:
    done = await imports.run(rows(1))
    assert (await refused(reread(imports, done, has_header=True))).reason == "IMPORT_STATE"


def test_each_encoding_of_the_contract_has_a_codec() -> None:
    assert set(reading.CODECS) == set(ImportEncoding.values()) - {0}
    assert len(set(reading.CODECS.values())) == len(reading.CODECS)
