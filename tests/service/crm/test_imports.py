"""Imports: what becomes of files (CRM-30), from the upload to the records."""

import asyncio
import csv
import io
import uuid
import zipfile
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.api.httpbody_pb2 import HttpBody

from kith.crm.v1 import change_sets_pb2, change_sets_pb2_grpc, companies_pb2, contacts_pb2, imports_pb2, imports_pb2_grpc
from kith.crm.v1.imports_pb2 import Import
from kith.crm.v1.parts_pb2 import RECORD_KIND_COMPANY, RECORD_KIND_CONTACT
from tests.conftest import Channel, Person
from tests.service.calls import As, all_pages
from tests.service.crm.conftest import MakeCompany, MakeContact, refused

ENDED = {imports_pb2.IMPORT_STATE_SUCCEEDED, imports_pb2.IMPORT_STATE_FAILED, imports_pb2.IMPORT_STATE_CANCELLED}


class Imports:
    """ImportService as one person, in the steps of these tests."""

    def __init__(self, stub: Any, person: Person) -> None:
        self.call = As(stub, person)

    async def upload(self, content: bytes | str, kind: Any = RECORD_KIND_CONTACT, *, piece: int = 1000) -> Import:
        data = content if isinstance(content, bytes) else content.encode()

        async def pieces() -> AsyncIterator[Any]:
            first = data[:piece]
            yield imports_pb2.UploadImportRequest(kind=kind, file_name="people.csv", content=HttpBody(data=first))
            for start in range(piece, len(data), piece):
                yield imports_pb2.UploadImportRequest(content=HttpBody(data=data[start : start + piece]))

        return await self.call.UploadImport(pieces())

    async def start(self, import_id: str, **how: Any) -> Import:
        return await self.call.StartImport(imports_pb2.StartImportRequest(id=import_id, **how))

    async def get(self, import_id: str) -> Import:
        return await self.call.GetImport(imports_pb2.GetImportRequest(id=import_id))

    async def end(self, import_id: str) -> Import:
        """Wait for the end of a run."""
        async with asyncio.timeout(240):
            while True:
                now = await self.get(import_id)
                if now.state in ENDED | {imports_pb2.IMPORT_STATE_READY}:
                    return now
                await asyncio.sleep(0.05)

    async def run(self, content: bytes | str, kind: Any = RECORD_KIND_CONTACT, **how: Any) -> Import:
        """Upload, start and wait for the end."""
        uploaded = await self.upload(content, kind)
        await self.start(uploaded.id, **how)
        return await self.end(uploaded.id)

    async def errors(self, import_id: str) -> list[list[str]]:
        parts = [part.data async for part in self.call.GetImportErrors(imports_pb2.GetImportErrorsRequest(id=import_id))]
        return list(csv.reader(io.StringIO(b"".join(parts).decode(), newline="")))


@pytest.fixture
def imports(channel: Channel, owner: Person) -> Imports:
    return Imports(imports_pb2_grpc.ImportServiceStub(channel("crm")), owner)


@pytest.fixture
def people(contacts: Any) -> Any:
    """`await people()` returns all contacts by display name."""

    async def read() -> dict[str, Any]:
        found = await all_pages(contacts.ListContacts, contacts_pb2.ListContactsRequest(page_size=200), "contacts")
        return {each.display_name: each for each in found}

    return read


def counts(report: Any) -> tuple[int, int, int, int]:
    return report.created_count, report.updated_count, report.skipped_count, report.failed_count


def rows(count: int) -> str:
    return "First name,Last name,Email\n" + "".join(f"Person,{number},p{number}@example.com\n" for number in range(count))


async def test_a_file_becomes_contacts_as_if_they_had_been_created(imports: Imports, people: Any, owner: Person) -> None:
    uploaded = await imports.upload(
        "First Name,Surname,E-Mail,Mobile,City,Shoe size\nAnn,Lee, Ann@EXAMPLE.com ,555 123 4567,Springfield,39\n"
    )
    assert [column.field for column in uploaded.columns] == ["given_name", "family_name", "emails", "phones", "address.city", ""]
    assert (uploaded.encoding, uploaded.delimiter, uploaded.has_header) == ("utf-8", ",", True)
    await imports.start(uploaded.id)
    done = await imports.end(uploaded.id)
    assert (done.state, counts(done.report)) == (imports_pb2.IMPORT_STATE_SUCCEEDED, (1, 0, 0, 0))
    ann = (await people())["Ann Lee"]
    assert (ann.emails[0].address, ann.phones[0].e164, ann.address.city) == ("Ann@example.com", "+15551234567", "Springfield")
    assert (ann.owner_id, ann.etag, ann.status) == (owner.user_id, '"1"', contacts_pb2.CONTACT_STATUS_ACTIVE)


MANY = [
    pytest.param("\ufeffname,email\nZoë,z@example.com\n".encode(), {"Zoë"}, id="bom"),
    pytest.param("name;email\nZoë;z@example.com\n".encode("cp1252"), {"Zoë"}, id="latin-1"),
    pytest.param(b"name,email\n" + b"A,a@example.com\n" * 20_000 + "Zoë,z@example.com\n".encode("cp1252"), {"A", "Zoë"}, id="late latin-1"),
    pytest.param("name\temail\nZoë\tz@example.com\n".encode("utf-16"), {"Zoë"}, id="utf-16"),
    pytest.param("name,email\nZoë,z@example.com\n".encode("utf-16-le"), {"Zoë"}, id="utf-16 without a mark"),
    pytest.param(b"sep=;\r\nname;email\r\nZoe;z@example.com\r\n", {"Zoe"}, id="sep"),
    pytest.param(b"name,email\rZoe,z@example.com\rBob,b@example.com\r", {"Zoe", "Bob"}, id="carriage returns"),
    pytest.param(b'name,email\n\n"Zoe, the first",z@example.com\n\n', {"Zoe, the first"}, id="blank lines and quotes"),
    pytest.param(b"Zoe,z@example.com\nBob,b@example.com\n", {"z@example.com", "b@example.com"}, id="no header"),
    pytest.param(b"email,email\nz@example.com,y@example.com\n", {"z@example.com"}, id="duplicate headers"),
    pytest.param(b'name,email\n"=""Zoe""",z@example.com\n', {"Zoe"}, id="text formula"),
    pytest.param(b"name,email\n'+Zoe,z@example.com\n", {"+Zoe"}, id="guarded cell"),
    pytest.param(b"email\nz@example.com", {"z@example.com"}, id="one column and no last line end"),
]


@pytest.mark.parametrize(("content", "names"), MANY)
async def test_odd_files_come_out_right(imports: Imports, people: Any, content: bytes, names: set[str]) -> None:
    done = await imports.run(content)
    assert (done.state, done.problem) == (imports_pb2.IMPORT_STATE_SUCCEEDED, ""), await imports.errors(done.id)
    assert set(await people()) == names


async def test_line_breaks_inside_quotes_stay_as_they_are(imports: Imports, companies: Any) -> None:
    content = b'name;employees;description\r\nAcme;"1.234,00";"a\r\nb;c"\r\n'
    done = await imports.run(content, RECORD_KIND_COMPANY)
    assert counts(done.report) == (1, 0, 0, 0), await imports.errors(done.id)
    (acme,) = (await companies.ListCompanies(companies_pb2.ListCompaniesRequest())).companies
    assert (acme.name, acme.employee_count, acme.description) == ("Acme", 1234, "a\r\nb;c")


async def test_decimals_stand_behind_a_comma_where_semicolons_delimit(imports: Imports, companies: Any) -> None:
    rows = 'A;"1.234,00"\nB;12,5\nC;1.234\nD;"1,234.00"\nE;7,0\n'
    done = await imports.run(f"name;employees\n{rows}", RECORD_KIND_COMPANY)
    found = (await companies.ListCompanies(companies_pb2.ListCompaniesRequest(order_by="name"))).companies
    assert {each.name: each.employee_count for each in found} == {"A": 1234, "C": 1234, "E": 7}
    assert [row[1:3] for row in (await imports.errors(done.id))[1:]] == [["employees: must be a whole number", name] for name in "BD"]


async def test_headers_that_come_twice_each_give_to_a_list_and_the_first_to_a_value(imports: Imports, people: Any) -> None:
    content = "name,email,name,email\nZoe,z@example.com,Other,y@example.com\n"
    uploaded = await imports.upload(content)
    assert [(column.header, column.field) for column in uploaded.columns] == [
        ("name", "name"), ("email", "emails"), ("name", ""), ("email", "emails"),
    ]  # fmt: skip
    await imports.start(uploaded.id)
    assert counts((await imports.end(uploaded.id)).report) == (1, 0, 0, 0)
    assert [each.address for each in (await people())["Zoe"].emails] == ["z@example.com", "y@example.com"]


def archive() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("a", "b")
    return file.getvalue()


@pytest.mark.parametrize(("content", "why"), [(b"", "empty"), (b" \r\n\n", "empty"), (archive(), "ZIP"), (b"%PDF-1.7", "PDF")])
async def test_what_is_no_table_is_refused_with_the_reason(imports: Imports, content: bytes, why: str) -> None:
    refusal = await refused(imports.upload(content))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "IMPORT_FILE_REFUSED")
    assert why in refusal.message
    assert not (await imports.call.ListImports(imports_pb2.ListImportsRequest())).imports


@pytest.mark.parametrize(("content", "why"), [
    (b'name,email\nZoe,"z@example.com\n' + b"x" * 200_000, "line 2: field larger"),
    ("name,email\nZoë,z@example.com\n".encode() + b"Zoe,z@example.com\n" * 20_000 + b"\xff,b@example.com\n", "no utf-8"),
    (b"name,email\n", "no row behind"),
])  # fmt: skip
async def test_a_file_that_breaks_in_the_middle_fails_as_a_whole(imports: Imports, people: Any, content: bytes, why: str) -> None:
    done = await imports.run(content)
    assert (done.state, done.change_set_id) == (imports_pb2.IMPORT_STATE_FAILED, "")
    assert why in done.problem
    assert not await people()


async def test_a_large_file_is_put_together_again(imports: Imports, people: Any) -> None:
    content = "name,email\nAnn,ann@example.com\n" + "\n" * 1_500_000 + "Bob,bob\n"
    uploaded = await imports.upload(content, piece=60_000)
    assert uploaded.size == len(content)
    await imports.start(uploaded.id)
    done = await imports.end(uploaded.id)
    assert (counts(done.report), set(await people())) == ((1, 0, 0, 1), {"Ann"})
    assert (await imports.errors(done.id))[1][0] == "1500003"


async def test_failed_rows_are_told_with_their_lines_and_cells(imports: Imports, people: Any) -> None:
    content = "name,email,status\nAnn,ann@example.com,\n\nBob,bob,\nCid,=1+1,\n\0Dan,dan@example.com,\nEve,eve@example.com,gone\n"
    done = await imports.run(content)
    assert (done.state, counts(done.report)) == (imports_pb2.IMPORT_STATE_SUCCEEDED, (1, 0, 0, 4))
    assert set(await people()) == {"Ann"}
    header, *failed = await imports.errors(done.id)
    assert header == ["line", "problem", "name", "email", "status"]
    assert [row[0] for row in failed] == ["4", "5", "6", "7"]
    assert [row[1].partition(":")[0] for row in failed] == ["emails[0].address", "email", "given_name", "status"]
    assert failed[1][3] == "'=1+1"


async def test_all_or_nothing_keeps_nothing_when_a_row_fails(imports: Imports, people: Any) -> None:
    done = await imports.run(rows(1200) + "Bob,,bob\n", mode=imports_pb2.IMPORT_MODE_ALL)
    assert done.state == imports_pb2.IMPORT_STATE_FAILED
    assert (counts(done.report), done.change_set_id) == ((1200, 0, 0, 1), "")
    assert not await people()
    assert len(await imports.errors(done.id)) == 2
    again = await imports.run(rows(1200), mode=imports_pb2.IMPORT_MODE_ALL)
    assert (again.state, counts(again.report)) == (imports_pb2.IMPORT_STATE_SUCCEEDED, (1200, 0, 0, 0))
    assert len(await people()) == 1200


@pytest.mark.parametrize("mode", [imports_pb2.IMPORT_MODE_ROWS, imports_pb2.IMPORT_MODE_ALL])
@pytest.mark.parametrize("duplicates", [imports_pb2.IMPORT_DUPLICATES_SKIP, imports_pb2.IMPORT_DUPLICATES_UPDATE])
async def test_a_dry_run_says_what_the_run_does_and_keeps_nothing(
    imports: Imports, people: Any, make_contact: MakeContact, mode: Any, duplicates: Any
) -> None:
    await make_contact(given_name="Old", emails=[{"address": "p3@example.com"}])
    content = rows(1100) + "Twice,1,p5@example.com\nBad,2,bad\nTwice,1,p5@example.com\nOther,4,P3@Example.com\n"
    uploaded = await imports.upload(content)
    await imports.start(uploaded.id, mode=mode, duplicates=duplicates, validate_only=True)
    tried = await imports.end(uploaded.id)
    assert (tried.state, set(await people())) == (imports_pb2.IMPORT_STATE_READY, {"Old"})
    await imports.start(uploaded.id, mode=mode, duplicates=duplicates)
    done = await imports.end(uploaded.id)
    assert done.report == tried.preview
    assert done.report.done_count == 1104


async def test_duplicates_are_skipped_updated_or_created(imports: Imports, people: Any, contacts: Any, make_contact: MakeContact) -> None:
    ann = await make_contact(given_name="Ann", title="Clerk", emails=[{"address": "ann@example.com"}], tags=["a"])
    bob = await make_contact(given_name="Bob", phones=[{"number": "555 123 4567"}])
    content = (
        "first name,title,email,phone,tags\nAnna,Boss,ANN@example.com,,b\n,Clerk,,(555) 123-4567,\nCid,,cid@example.com,555 123 4567,\n"
    )
    skipped = await imports.run(content)
    assert counts(skipped.report) == (1, 0, 2, 0)
    assert (await people())["Ann"] == ann
    updated = await imports.run(content, duplicates=imports_pb2.IMPORT_DUPLICATES_UPDATE)
    assert counts(updated.report) == (0, 1, 1, 1), await imports.errors(updated.id)
    now = await people()
    assert (now["Anna"].id, now["Anna"].title, list(now["Anna"].tags), len(now["Anna"].emails)) == (ann.id, "Boss", ["a", "b"], 1)
    assert (now["Bob"].id, now["Bob"].title) == (bob.id, "")  # by now Cid has the number too
    created = await imports.run(content, duplicates=imports_pb2.IMPORT_DUPLICATES_CREATE)
    assert counts(created.report) == (3, 0, 0, 0)


@pytest.mark.parametrize("mode", [imports_pb2.IMPORT_MODE_ROWS, imports_pb2.IMPORT_MODE_ALL])
async def test_rows_of_one_key_are_taken_one_after_the_other_however_far_apart_they_are(imports: Imports, people: Any, mode: Any) -> None:
    keys = [number * number % 211 for number in range(1_200)]  # next to each other, in two steps of writing, in two transactions
    content = "first name,email,title\n" + "".join(f"P{key},p{key}@example.com,{number}\n" for number, key in enumerate(keys))
    done = await imports.run(content, mode=mode, duplicates=imports_pb2.IMPORT_DUPLICATES_UPDATE)
    assert counts(done.report) == (len(set(keys)), len(keys) - len(set(keys)), 0, 0)
    assert {name: each.title for name, each in (await people()).items()} == {f"P{key}": str(number) for number, key in enumerate(keys)}


async def test_a_row_waits_for_one_that_waits_itself(imports: Imports, people: Any) -> None:
    content = 'first name,email\nAnn,a@example.com\nAnn,"a@example.com, b@example.com"\nAnna,b@example.com\n'
    done = await imports.run(content, duplicates=imports_pb2.IMPORT_DUPLICATES_UPDATE)
    assert counts(done.report) == (1, 2, 0, 0), await imports.errors(done.id)
    assert {name: len(each.emails) for name, each in (await people()).items()} == {"Anna": 2}


async def test_companies_are_the_same_by_domain_or_name(imports: Imports, companies: Any, make_company: MakeCompany) -> None:
    await make_company(name="Acme", domain="acme.example.com")
    await make_company(name="Größe")
    content = "name,website,industry\nAcme Inc.,https://www.acme.example.com/,Tools\nGRÖSSE,,Tools\nAcme,acme.example.org,Toys\n"
    done = await imports.run(content, RECORD_KIND_COMPANY, duplicates=imports_pb2.IMPORT_DUPLICATES_UPDATE)
    assert counts(done.report) == (1, 2, 0, 0), await imports.errors(done.id)
    found = (await companies.ListCompanies(companies_pb2.ListCompaniesRequest(order_by="name"))).companies
    assert [(each.name, each.industry) for each in found] == [("Acme", "Toys"), ("Acme Inc.", "Tools"), ("GRÖSSE", "Tools")]


async def test_the_same_file_again_changes_nothing(imports: Imports, people: Any) -> None:
    await imports.run(rows(300))
    before = await people()
    for duplicates in (imports_pb2.IMPORT_DUPLICATES_SKIP, imports_pb2.IMPORT_DUPLICATES_UPDATE):
        again = await imports.run(rows(300), duplicates=duplicates)
        assert counts(again.report) == (0, 0, 300, 0)
    assert await people() == before


async def test_an_import_is_undone_by_its_change_set(
    imports: Imports, people: Any, channel: Channel, owner: Person, make_contact: Any
) -> None:
    await make_contact(given_name="Old", title="Clerk", emails=[{"address": "p1@example.com"}])
    done = await imports.run(rows(700), duplicates=imports_pb2.IMPORT_DUPLICATES_UPDATE)
    assert counts(done.report) == (699, 1, 0, 0)
    change_sets = As(change_sets_pb2_grpc.ChangeSetServiceStub(channel("crm")), owner)
    await change_sets.RevertChangeSet(change_sets_pb2.RevertChangeSetRequest(id=done.change_set_id))
    async with asyncio.timeout(120):
        while True:
            now = await change_sets.GetChangeSet(change_sets_pb2.GetChangeSetRequest(id=done.change_set_id))
            if now.state == change_sets_pb2.CHANGE_SET_STATE_REVERTED:
                break
            await asyncio.sleep(0.05)
    assert (now.change_count, now.reverted_count, now.kept_count) == (700, 700, 0)
    assert set(await people()) == {"Old"}


async def test_an_import_is_started_once_and_cancelled_before_it_began(imports: Imports) -> None:
    uploaded = await imports.upload(rows(1))
    assert (await imports.call.CancelImport(imports_pb2.CancelImportRequest(id=uploaded.id))).state == imports_pb2.IMPORT_STATE_CANCELLED
    assert (await refused(imports.start(uploaded.id))).reason == "IMPORT_STATE"
    done = await imports.run(rows(1))
    assert (await refused(imports.start(done.id))).reason == "IMPORT_STATE"
    assert (await refused(imports.call.CancelImport(imports_pb2.CancelImportRequest(id=done.id)))).reason == "IMPORT_STATE"


async def test_a_wrong_mapping_is_refused(imports: Imports) -> None:
    uploaded = await imports.upload(rows(1))
    for fields, wrong in ((["given_name"], ["fields"]), (["given_name", "shoe", "given_name"], ["fields[1]", "fields[2]"])):
        assert (await refused(imports.start(uploaded.id, fields=fields))).fields == wrong
    assert (await refused(imports.start(str(uuid.uuid4())))).reason == "NOT_FOUND"
