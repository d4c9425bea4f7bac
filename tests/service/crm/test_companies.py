"""Companies through gRPC: what they have in common with contacts, and what is their own."""

import uuid
from typing import Any

import grpc
from google.protobuf.field_mask_pb2 import FieldMask

from kith.crm.v1 import companies_pb2 as pb
from kith.crm.v1 import contacts_pb2
from tests.service.calls import all_pages
from tests.service.crm.conftest import Company, MakeCompany, MakeContact, Refused, refused


async def test_a_company_is_read_as_it_was_created(companies: Any, make_company: MakeCompany) -> None:
    made = await make_company(
        name=" Acme ",
        domain="https://www.Acme.com/about",
        industry="Tools",
        employee_count=12,
        phones=[{"number": "(555) 123-4567"}],
        address={"city": "Springfield"},
        source="fair",
        tags=["vip"],
        description="Makes things.",
    )
    assert await companies.GetCompany(pb.GetCompanyRequest(id=made.id)) == made
    assert (made.name, made.domain, made.phones[0].e164) == ("Acme", "acme.com", "+15551234567")


async def test_what_is_wrong_with_a_company_is_named_by_field(companies: Any) -> None:
    wrong = Company(domain="localhost", employee_count=-1)
    refusal = await refused(companies.CreateCompany(pb.CreateCompanyRequest(company=wrong)))
    assert (refusal.code, refusal.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ["name", "domain", "employee_count"])


async def test_a_company_changes_dies_and_comes_back(companies: Any, make_company: MakeCompany) -> None:
    made = await make_company(industry="Tools")
    wanted = Company(id=made.id, etag=made.etag, name="Acme Ltd")
    changed = await companies.UpdateCompany(pb.UpdateCompanyRequest(company=wanted, update_mask=FieldMask(paths=["name"])))
    assert (changed.name, changed.industry, changed.etag) == ("Acme Ltd", "Tools", '"2"')
    stale = await refused(companies.UpdateCompany(pb.UpdateCompanyRequest(company=wanted)))
    assert (stale.reason, stale.metadata["changedFields"]) == ("ETAG_MISMATCH", "name")
    await companies.DeleteCompany(pb.DeleteCompanyRequest(id=made.id, etag=changed.etag))
    assert (await refused(companies.DeleteCompany(pb.DeleteCompanyRequest(id=made.id)))).reason == "RECORD_DELETED"
    restored = await companies.RestoreCompany(pb.RestoreCompanyRequest(id=made.id))
    assert list((await companies.ListCompanies(pb.ListCompaniesRequest())).companies) == [restored]


async def test_a_replacement_clears_what_it_does_not_name(companies: Any, make_company: MakeCompany) -> None:
    made = await make_company(industry="Tools", tags=["vip"], address={"city": "Springfield"})
    request = pb.UpdateCompanyRequest(company=Company(id=made.id, name="Acme", owner_id=made.owner_id), update_mask=FieldMask(paths=["*"]))
    after = await companies.UpdateCompany(request)
    assert (after.industry, list(after.tags), after.HasField("address"), after.owner_id) == ("", [], False, made.owner_id)


async def test_contacts_of_a_deleted_company_stay_and_new_ones_are_refused(
    companies: Any, contacts: Any, make_company: MakeCompany, make_contact: MakeContact
) -> None:
    company = await make_company()
    contact = await make_contact(company_id=company.id)
    await companies.DeleteCompany(pb.DeleteCompanyRequest(id=company.id))
    changed = contacts_pb2.Contact(id=contact.id, title="Boss")
    assert (await contacts.UpdateContact(contacts_pb2.UpdateContactRequest(contact=changed))).company_id == company.id
    other = contacts_pb2.Contact(given_name="Bob", company_id=company.id)
    assert (await refused(contacts.CreateContact(contacts_pb2.CreateContactRequest(contact=other)))).reason == "COMPANY_UNKNOWN"


async def test_companies_are_listed_and_filtered(companies: Any, make_company: MakeCompany) -> None:
    made = [
        await make_company(name=name, employee_count=count, domain=domain)
        for name, count, domain in (("Zeta", 5, "zeta.com"), ("Ärzte", 50, "aerzte.de"), ("beta", 500, ""))
    ]
    by_name = await all_pages(companies.ListCompanies, pb.ListCompaniesRequest(page_size=1, order_by="name"), "companies")
    assert by_name == [made[1], made[2], made[0]]
    for filter_text, expected in (
        ("employee_count >= 50", [made[2], made[1]]),
        ("domain = AERZTE.de", [made[1]]),
        ("NOT domain:*", [made[2]]),
        ("name = z*", [made[0]]),
    ):
        assert list((await companies.ListCompanies(pb.ListCompaniesRequest(filter=filter_text))).companies) == expected


async def test_batches_of_companies_answer_row_by_row(companies: Any, make_company: MakeCompany) -> None:
    made = [await make_company(name=name) for name in ("A", "B")]
    missing = str(uuid.uuid4())
    updates = [pb.UpdateCompanyRequest(company=Company(id=each, industry="Tools")) for each in (made[0].id, missing)]
    updated = await companies.BatchUpdateCompanies(pb.BatchUpdateCompaniesRequest(requests=updates))
    assert updated.results[0].company.industry == "Tools"
    assert Refused(updated.results[1].status).reason == "NOT_FOUND"
    deletions = [pb.DeleteCompanyRequest(id=made[0].id, etag='"1"'), pb.DeleteCompanyRequest(id=made[1].id, etag='"1"')]
    deleted = await companies.BatchDeleteCompanies(pb.BatchDeleteCompaniesRequest(requests=deletions))
    assert Refused(deleted.results[0].status).reason == "ETAG_MISMATCH"
    assert not deleted.results[1].HasField("status")
    found = await companies.BatchGetCompanies(pb.BatchGetCompaniesRequest(ids=[missing, made[1].id, made[0].id]))
    assert ([each.id for each in found.companies], list(found.missing_ids)) == ([made[1].id, made[0].id], [missing])
