"""Exports: a view as a file (CRM-31), which an import takes back without a loss."""

import asyncio
import csv
import io
import json
from collections.abc import Callable
from typing import Any, NamedTuple

import grpc
import httpx
import psycopg
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from kith.common.v1.exports_pb2 import EXPORT_FORMAT_EXCEL_CSV, EXPORT_FORMAT_JSONL, Download
from kith.crm.v1 import companies_pb2, contacts_pb2, imports_pb2, imports_pb2_grpc
from kith.crm.v1.companies_pb2 import Company, ExportCompaniesRequest
from kith.crm.v1.contacts_pb2 import Contact, ExportContactsRequest
from kith.crm.v1.parts_pb2 import RECORD_KIND_COMPANY, RECORD_KIND_CONTACT
from tests.conftest import AdminDsn, Channel, Join, Person
from tests.service.calls import all_pages
from tests.service.crm.conftest import MakeCompany, MakeContact, refused
from tests.service.crm.test_imports import Imports, counts

MANY = 2_500


class File(NamedTuple):
    """What an export gave."""

    name: str
    content_type: str
    data: bytes
    pieces: int

    @property
    def rows(self) -> list[list[str]]:
        return list(csv.reader(io.StringIO(self.data.decode(), newline="")))


async def exported(call: Any, request: Any) -> File:
    pieces = [piece async for piece in call(request)]
    download = Download()
    assert pieces[0].extensions[0].Unpack(download)
    return File(download.file_name, pieces[0].content_type, b"".join(piece.data for piece in pieces), len(pieces))


@pytest.fixture
def imports(channel: Channel, owner: Person) -> Imports:
    return Imports(imports_pb2_grpc.ImportServiceStub(channel("crm")), owner)


Fill = Callable[[int], Any]


@pytest.fixture
def fill(imports: Imports) -> Fill:
    """`await fill(2_500)` makes contacts, all in one transaction, so that they have one time of creation for each thousand."""

    async def make(count: int) -> None:
        content = "given_name,emails\n" + "".join(f"Person {number},p{number}@example.com\n" for number in range(count))
        assert (await imports.run(content)).report.created_count == count

    return make


async def every(contacts: Any, **asked: Any) -> list[Contact]:
    return await all_pages(contacts.ListContacts, contacts_pb2.ListContactsRequest(page_size=200, **asked), "contacts")


async def test_a_view_is_a_csv_file(contacts: Any, make_contact: MakeContact) -> None:
    ann = await make_contact(given_name="Ann", family_name="Lee", emails=[{"address": "a@example.com"}, {"address": "b@example.com"}])
    await make_contact(given_name="Bob", title="Clerk")
    mask = FieldMask(paths=["id", "display_name", "emails", "status", "create_time"])
    file = await exported(contacts.ExportContacts, ExportContactsRequest(filter='display_name = "ann lee"', fields=mask))
    assert (file.content_type, file.name[:9], file.name[-4:]) == ("text/csv; charset=utf-8", "contacts-", ".csv")
    assert file.rows == [
        list(mask.paths),
        [ann.id, "Ann Lee", "a@example.com; b@example.com", "active", ann.create_time.ToJsonString()],
    ]


async def test_json_lines_are_what_the_edge_answers(
    contacts: Any, make_contact: MakeContact, edge: httpx.AsyncClient, owner: Person
) -> None:
    await make_contact(given_name="Ann", phones=[{"number": "020 7946 0018"}], address={"city": "York"}, tags=["a"])
    await make_contact(given_name="Bob")
    file = await exported(contacts.ExportContacts, ExportContactsRequest(format=EXPORT_FORMAT_JSONL, order_by="display_name"))
    listed = await edge.get("/v1/contacts", params={"orderBy": "display_name"}, headers=owner.headers)
    assert [json.loads(line) for line in file.data.splitlines()] == listed.json()["contacts"]
    assert (file.content_type, file.name[-6:]) == ("application/jsonl", ".jsonl")
    mask = FieldMask(paths=["given_name", "address.city", "phones.number"])
    some = await exported(contacts.ExportContacts, ExportContactsRequest(format=EXPORT_FORMAT_JSONL, order_by="display_name", fields=mask))
    assert [json.loads(line) for line in some.data.splitlines()] == [
        {"givenName": "Ann", "address": {"city": "York"}, "phones": [{"number": "020 7946 0018"}]},
        {"givenName": "Bob", "phones": []},
    ]


async def test_excel_is_told_the_encoding(contacts: Any, make_contact: MakeContact) -> None:
    await make_contact(given_name="Zoë")
    mask = FieldMask(paths=["given_name"])
    file = await exported(contacts.ExportContacts, ExportContactsRequest(format=EXPORT_FORMAT_EXCEL_CSV, fields=mask))
    assert file.data == "\ufeffgiven_name\r\nZoë\r\n".encode()


@pytest.mark.parametrize("order", ["", "display_name", "update_time desc"])
async def test_every_record_is_there_once_and_in_order(contacts: Any, fill: Fill, order: str) -> None:
    await fill(MANY)
    file = await exported(contacts.ExportContacts, ExportContactsRequest(order_by=order, fields=FieldMask(paths=["id"])))
    assert file.rows[1:] == [[each.id] for each in await every(contacts, order_by=order)]
    assert file.pieces == 3


async def test_deleted_records_are_there_when_asked_for(contacts: Any, make_contact: MakeContact) -> None:
    made = await make_contact()
    await contacts.DeleteContact(contacts_pb2.DeleteContactRequest(id=made.id))
    mask = FieldMask(paths=["id"])
    assert (await exported(contacts.ExportContacts, ExportContactsRequest(fields=mask))).rows == [["id"]]
    shown = await exported(contacts.ExportContacts, ExportContactsRequest(fields=mask, show_deleted=True))
    assert shown.rows == [["id"], [made.id]]


@pytest.mark.parametrize(
    ("asked", "reason", "field"),
    [
        ({"filter": "nothing = 1"}, "UNKNOWN_FIELD", "filter"),
        ({"order_by": "title"}, "ORDER_INVALID", "order_by"),
        ({"fields": FieldMask(paths=["emails.nothing"])}, "UNKNOWN_FIELD", "fields"),
        ({"fields": FieldMask(paths=["create_time.seconds"]), "format": EXPORT_FORMAT_JSONL}, "UNKNOWN_FIELD", "fields"),
        ({"format": 9}, "FIELD_INVALID", "format"),
    ],
)
async def test_what_cannot_be_exported_is_refused_before_the_first_byte(contacts: Any, asked: Any, reason: str, field: str) -> None:
    refusal = await refused(exported(contacts.ExportContacts, ExportContactsRequest(**asked)))
    assert (refusal.code, refusal.reason, refusal.fields) == (grpc.StatusCode.INVALID_ARGUMENT, reason, [field])


async def test_exporting_takes_a_permission_of_its_own(contacts_of: Any, join: Join, owner: Person) -> None:
    for role, allowed in (("manager", True), ("member", False), ("read_only", False)):
        contacts = contacts_of(await join(owner, role))
        call = exported(contacts.ExportContacts, ExportContactsRequest())
        if allowed:
            assert (await call).rows
        else:
            assert (await refused(call)).metadata["permission"] == "CRM_EXPORTS_READ"


async def test_who_exported_what_is_in_the_audit_trail_without_what_was_looked_for(
    contacts: Any, fill: Fill, owner: Person, admin_dsn: AdminDsn
) -> None:
    await fill(1_200)
    view = 'NOT (email = "private@example.com" OR display_name = "Secret*")'
    await exported(contacts.ExportContacts, ExportContactsRequest(filter=view, order_by="update_time", fields=FieldMask(paths=["emails"])))
    begun, ended = await trail(admin_dsn, owner)
    assert begun == {
        "export": "begun",
        "filter": "NOT ((email = ? OR display_name prefix ? ?))",
        "orderBy": "update_time",
        "fields": "emails",
        "format": "csv",
    }
    assert ended == {"export": "complete", "rows": "1200"}


async def trail(admin_dsn: AdminDsn, owner: Person) -> list[Any]:
    query = "SELECT after FROM audit_log WHERE action = 'ExportContacts' AND actor_id = %s ORDER BY at, id"
    async with await psycopg.AsyncConnection.connect(admin_dsn("crm")) as connection:
        return [row[0] for row in await (await connection.execute(query, [owner.user_id])).fetchall()]


async def test_a_reader_that_leaves_ends_the_export_and_the_trail_says_so(
    contacts: Any, fill: Fill, owner: Person, admin_dsn: AdminDsn
) -> None:
    await fill(MANY)
    call = contacts.ExportContacts(ExportContactsRequest())
    async for _ in call:
        call.cancel()
        break
    async with asyncio.timeout(60):
        while len(told := await trail(admin_dsn, owner)) < 2:  # noqa: ASYNC110 - the service's doing
            await asyncio.sleep(0.05)
    assert (told[1]["export"], int(told[1]["rows"]) < MANY) == ("broken off", True)


async def test_records_that_go_while_they_are_exported_break_nothing(contacts: Any, fill: Fill) -> None:
    await fill(MANY)
    ids = [each.id for each in await every(contacts)]
    pieces = aiter(contacts.ExportContacts(ExportContactsRequest(fields=FieldMask(paths=["id"]))))
    first = await anext(pieces)
    for start in range(0, MANY, 500):
        requests = [contacts_pb2.DeleteContactRequest(id=each) for each in ids[start : start + 500] if each != ids[-1]]
        await contacts.BatchDeleteContacts(contacts_pb2.BatchDeleteContactsRequest(requests=requests))
    found = (first.data + b"".join([piece.data async for piece in pieces])).decode().split()
    assert found[: len(ids[:1000]) + 1] == ["id", *ids[:1000]]
    assert (found[-1], len(set(found)) == len(found)) == (ids[-1], True)


ODD = "=HYPERLINK(1)"
CONTACTS: list[dict[str, Any]] = [
    {"given_name": "Ann", "family_name": "Lee", "emails": [{"address": "ann@example.com", "label": "work"}, {"address": "a@example.com"}]},
    {"phones": [{"number": "+49 30 123456", "label": ""}, {"number": "+44 20 7946 0018;ext=5", "label": "work; main"}]},
    {"phones": [{"number": "'+1 555 123 4567"}, {"number": "=+1 555 123 4568"}, {"number": "+1 555 123 4569, 12"}]},
    {"given_name": ODD, "family_name": "-", "title": "'=1", "department": "@all", "source": '="x"', "tags": [ODD, "a, b", 'c"d', "e;f|g"]},
    {"given_name": "'tis", "address": {"lines": ["12 High Street, Flat 1", "The \"Hill\"; left"], "city": "York", "region": "GB"}},
    {"given_name": "Zoë\u2028x", "social_profiles": [{"network": "x", "url": "https://example.com/a,b;c"}, {"network": "y; z", "url": "http://e"}]},
    {"given_name": "Old", "status": contacts_pb2.CONTACT_STATUS_ARCHIVED, "last_contacted_time": {"seconds": 0, "nanos": 120_000_000}},
    {"emails": [{"address": "only@example.com", "label": "home"}]},
]  # fmt: skip
COMPANIES: list[dict[str, Any]] = [
    {"name": "=Acme", "domain": "acme.example.com", "industry": "-", "employee_count": 1234, "description": "a\r\nb;c,\"d\"\n\t+e"},
    {"name": "Other", "phones": [{"number": "+49 30 123456", "label": "desk"}], "address": {"lines": ["a\nb"]}, "tags": ["x"]},
]  # fmt: skip
SERVERS = ("id", "etag", "create_time", "update_time", "delete_time")


def bare(record: Any) -> Any:
    """Return a record without what is another one's for each."""
    copy = type(record)()
    copy.CopyFrom(record)
    for name in SERVERS:
        copy.ClearField(name)
    return copy


async def test_contacts_that_left_come_back_as_they_were(
    imports: Imports, contacts: Any, make_contact: MakeContact, make_company: MakeCompany
) -> None:
    company = await make_company()
    made = [await make_contact(**{"given_name": "", "company_id": company.id, **each}) for each in CONTACTS]
    file = await exported(contacts.ExportContacts, ExportContactsRequest())
    uploaded = await imports.upload(file.data)
    left_out = [column.header for column in uploaded.columns if not column.field]
    assert left_out == ["id", "create_time", "update_time", "delete_time", "display_name"]

    kept = await imports.run(file.data, duplicates=imports_pb2.IMPORT_DUPLICATES_UPDATE)
    assert kept.report.updated_count == kept.report.failed_count == 0, await imports.errors(kept.id)

    before = {each.id for each in await every(contacts)}
    done = await imports.run(file.data, duplicates=imports_pb2.IMPORT_DUPLICATES_CREATE)
    assert counts(done.report) == (len(made), 0, 0, 0), await imports.errors(done.id)
    again = [each for each in await every(contacts) if each.id not in before]
    assert sorted(map(bare, again), key=str) == sorted(map(bare, made), key=str)


async def test_companies_that_left_come_back_as_they_were(imports: Imports, companies: Any, make_company: MakeCompany) -> None:
    made = [await make_company(**each) for each in COMPANIES]
    file = await exported(companies.ExportCompanies, ExportCompaniesRequest())
    await imports.run(file.data, RECORD_KIND_COMPANY, duplicates=imports_pb2.IMPORT_DUPLICATES_CREATE)
    found = (await companies.ListCompanies(companies_pb2.ListCompaniesRequest())).companies
    again: list[Company] = [each for each in found if each.id not in {one.id for one in made}]
    assert sorted(map(bare, again), key=str) == sorted(map(bare, made), key=str)


async def test_chosen_columns_in_any_order_are_understood(imports: Imports, contacts: Any, make_contact: MakeContact) -> None:
    made = await make_contact(
        given_name="Ann", emails=[{"address": "ann@example.com", "label": "work"}], phones=[{"number": "+49 30 123456"}]
    )
    mask = FieldMask(paths=["phones.e164", "emails.label", "phones", "emails", "given_name"])
    file = await exported(contacts.ExportContacts, ExportContactsRequest(fields=mask))
    assert [column.field for column in (await imports.upload(file.data, RECORD_KIND_CONTACT)).columns] == ["", *mask.paths[1:]]
    await imports.run(file.data, duplicates=imports_pb2.IMPORT_DUPLICATES_CREATE)
    again, _ = await every(contacts)
    assert bare(again) == bare(made)
