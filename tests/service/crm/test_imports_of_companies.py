"""Imports of contacts whose rows name companies: found by domain and name, created where that is asked for, undone together."""

import asyncio
from typing import Any

import pytest

from kith.crm.v1 import change_sets_pb2, change_sets_pb2_grpc, companies_pb2, imports_pb2
from kith.crm.v1.companies_pb2 import Company
from kith.crm.v1.imports_pb2 import IMPORT_COMPANIES_CREATE, IMPORT_DUPLICATES_UPDATE
from kith.crm.v1.parts_pb2 import RECORD_KIND_COMPANY, RECORD_KIND_CONTACT
from tests.conftest import Channel, Person
from tests.service.calls import As, all_pages
from tests.service.crm.conftest import MakeCompany, MakeContact, refused
from tests.service.crm.test_imports import Imports, counts, imports, people

__all__ = ["imports", "people"]


@pytest.fixture
def firms(companies: Any) -> Any:
    """`await firms()` returns all companies, by name."""

    async def read() -> list[Company]:
        request = companies_pb2.ListCompaniesRequest(page_size=200, order_by="name")
        return await all_pages(companies.ListCompanies, request, "companies")

    return read


async def test_contacts_come_to_the_companies_that_their_rows_name(imports: Imports, people: Any, make_company: MakeCompany) -> None:
    size = await make_company(name="Größe  AG")
    acme, other = await make_company(name="Acme", domain="acme.example.com"), await make_company(name="Acme", domain="acme.example.org")
    uploaded = await imports.upload(
        "name,Company,Company website,company_id\n"
        "Ann, GRÖSSE ag,,\n"
        "Bob,Something else,https://www.ACME.example.com/about,\n"
        "Cid,Acme,acme.example.org,\n"
        "Dan,,acme.example.org,\n"
        f"Eve,Nobody,,{size.id}\n"
        "Fay,,,\n"
    )
    assert [column.field for column in uploaded.columns] == ["name", "company.name", "company.domain", "company_id"]
    await imports.start(uploaded.id)
    done = await imports.end(uploaded.id)
    assert counts(done.report) == (6, 0, 0, 0), await imports.errors(done.id)
    assert done.report.created_company_count == 0
    found = {name: contact.company_id for name, contact in (await people()).items()}
    assert found == {"Ann": size.id, "Bob": acme.id, "Cid": other.id, "Dan": other.id, "Eve": size.id, "Fay": ""}


async def test_a_row_whose_company_is_not_there_or_not_the_only_one_fails_and_says_why(
    imports: Imports, people: Any, firms: Any, make_company: MakeCompany
) -> None:
    for domain in ("", "", "acme.example.com"):
        await make_company(name="Acme", domain=domain)
    rows = ["Ann,Nowhere,", "Bob,ACME,", "Cid,Acme,acme.example.org", "Dan,Other,other.example.com", "Eve,Other,no domain"]
    content = "\n".join(["name,company,company domain", *rows])
    done = await imports.run(content)
    assert counts(done.report) == (0, 0, 0, 5)
    assert [row[1] for row in (await imports.errors(done.id))[1:]] == [
        'company.name: no company fits "Nowhere"',
        'company.name: 3 companies fit "ACME"; which one is meant, by its domain or company_id?',
        'company.domain: 2 companies fit "Acme" with the domain acme.example.org; which one is meant, by its domain or company_id?',
        'company.domain: no company fits "Other" with the domain other.example.com',
        'company.domain: must be a domain such as "example.com"',
    ]
    assert (await people(), len(await firms())) == ({}, 3)


async def test_companies_that_are_not_there_are_created_once_when_asked_for(
    imports: Imports, people: Any, firms: Any, owner: Person
) -> None:
    content = (
        "name,email,company,company domain,status\n"
        "Ann,ann@example.com,Acme,,\n"
        "Bob,bob@example.com,ACME,,\n"
        "Cid,cid@example.com,Beta,beta.example.com,\n"
        "Dan,dan@example.com,Beta,beta.example.org,\n"
        "Eve,eve@example.com,,gamma.example.com,\n"
        "Fay,ann@example.com,Skipped,,\n"
        "Gus,gus@example.com,Failed,,gone\n"
    )
    done = await imports.run(content, companies=IMPORT_COMPANIES_CREATE)
    assert (counts(done.report), done.report.created_company_count) == ((5, 0, 1, 1), 4), await imports.errors(done.id)
    acme, beta, second, gamma = await firms()
    if beta.domain != "beta.example.com":
        beta, second = second, beta
    assert [(each.name, each.domain, each.owner_id) for each in (acme, beta, second, gamma)] == [
        ("Acme", "", owner.user_id),
        ("Beta", "beta.example.com", owner.user_id),
        ("Beta", "beta.example.org", owner.user_id),
        ("gamma.example.com", "gamma.example.com", owner.user_id),
    ]
    found = {name: contact.company_id for name, contact in (await people()).items()}
    assert found == {"Ann": acme.id, "Bob": acme.id, "Cid": beta.id, "Dan": second.id, "Eve": gamma.id}


async def test_a_contact_that_is_refused_leaves_no_company(imports: Imports, firms: Any, make_contact: MakeContact) -> None:
    await make_contact(given_name="Ann", emails=[{"address": "ann@example.com"}])
    stranger = "01890000-0000-7000-8000-000000000000"
    content = f"name,email,owner,company\nAnn,ann@example.com,{stranger},Acme\nBob,bob@example.com,{stranger},Acme\n"
    done = await imports.run(content, companies=IMPORT_COMPANIES_CREATE, duplicates=IMPORT_DUPLICATES_UPDATE)
    assert (counts(done.report), done.report.created_company_count) == ((0, 0, 0, 2), 0)
    assert not await firms()


async def test_an_update_moves_contacts_and_leaves_them_where_they_fit(
    imports: Imports, people: Any, make_company: MakeCompany, make_contact: MakeContact
) -> None:
    first, second = await make_company(name="Acme"), await make_company(name="acme")
    beta = await make_company(name="Beta")
    await make_contact(given_name="Ann", emails=[{"address": "ann@example.com"}], company_id=second.id)
    await make_contact(given_name="Bob", emails=[{"address": "bob@example.com"}], company_id=first.id)
    content = "email,company\nann@example.com,Acme\nbob@example.com,Beta\n"
    done = await imports.run(content, duplicates=IMPORT_DUPLICATES_UPDATE)
    assert counts(done.report) == (0, 1, 1, 0), await imports.errors(done.id)
    assert {name: contact.company_id for name, contact in (await people()).items()} == {"Ann": second.id, "Bob": beta.id}


@pytest.mark.parametrize("mode", [imports_pb2.IMPORT_MODE_ROWS, imports_pb2.IMPORT_MODE_ALL])
async def test_a_dry_run_creates_the_same_companies_and_keeps_none(imports: Imports, firms: Any, people: Any, mode: Any) -> None:
    content = "name,email,company\n" + "".join(f"P{n},p{n % 900}@example.com,Firm {n % 70}\n" for n in range(1100))
    uploaded = await imports.upload(content)
    how = {"mode": mode, "companies": IMPORT_COMPANIES_CREATE}
    await imports.start(uploaded.id, validate_only=True, **how)
    tried = await imports.end(uploaded.id)
    assert (await firms(), await people()) == ([], {})
    await imports.start(uploaded.id, **how)
    done = await imports.end(uploaded.id)
    assert done.report == tried.preview
    assert (counts(done.report), done.report.created_company_count, len(await firms())) == ((900, 0, 200, 0), 70, 70)


async def test_created_companies_are_undone_with_their_contacts(
    imports: Imports, people: Any, firms: Any, companies: Any, channel: Channel, owner: Person
) -> None:
    content = "name,email,company\n" + "".join(f"P{n},p{n}@example.com,Firm {n % 3}\n" for n in range(600))
    done = await imports.run(content, companies=IMPORT_COMPANIES_CREATE)
    edited = (await firms())[1]
    edited.industry = "Tools"
    await companies.UpdateCompany(companies_pb2.UpdateCompanyRequest(company=edited))
    change_sets = As(change_sets_pb2_grpc.ChangeSetServiceStub(channel("crm")), owner)
    now = await change_sets.RevertChangeSet(change_sets_pb2.RevertChangeSetRequest(id=done.change_set_id))
    assert (now.kind, list(now.further_kinds), now.change_count) == (RECORD_KIND_CONTACT, [RECORD_KIND_COMPANY], 603)
    async with asyncio.timeout(120):
        while now.state != change_sets_pb2.CHANGE_SET_STATE_REVERTED:
            await asyncio.sleep(0.05)
            now = await change_sets.GetChangeSet(change_sets_pb2.GetChangeSetRequest(id=done.change_set_id))
    assert (now.reverted_count, [(each.record_id, each.kind) for each in now.kept_edits]) == (602, [(edited.id, RECORD_KIND_COMPANY)])
    assert (await people(), [each.name for each in await firms()]) == ({}, [edited.name])


async def test_an_import_of_companies_has_no_companies_of_its_own(imports: Imports) -> None:
    uploaded = await imports.upload("name,company domain\nAcme,acme.example.com\n", RECORD_KIND_COMPANY)
    assert [column.field for column in uploaded.columns] == ["name", "domain"]
    assert (await refused(imports.start(uploaded.id, companies=IMPORT_COMPANIES_CREATE))).fields == ["companies"]
    assert (await refused(imports.start(uploaded.id, companies=9))).fields == ["companies"]
