"""Fills the demo organisation: one person for each built-in role, companies and contacts. Done once, whatever interrupts it."""

import asyncio
from collections.abc import Iterable
from typing import Final

from kith.crm.v1 import companies_pb2, companies_pb2_grpc, contacts_pb2, contacts_pb2_grpc, parts_pb2
from kith.identity.v1 import members_pb2, members_pb2_grpc
from stack.demo import calls
from stack.demo.account import Demo, DemoMember
from stack.demo.calls import Bulk, SeedError, Session
from stack.demo.words import CompanyWords, ContactWords, Words
from stack.wiring import DEMO, Wiring

SEED: Final = 1
COMPANIES: Final = 300
CONTACTS: Final = 2_000
OWNER: Final = "owner"
DOMAIN: Final = "demo.example"
WORK: Final = "work"


async def seed(wiring: Wiring) -> Demo:
    """Make what is missing of the demo organisation. Raises SeedError."""
    kept = Demo.load(wiring.layout.demo)
    if kept and kept.complete:
        return kept
    words = Words(SEED)
    planned = _plan(words.organisation(), wiring.secrets.passwords[DEMO])
    demo = kept or planned
    demo.save(wiring.layout.demo)
    async with calls.bulk(wiring, await _owner(wiring, demo)) as services:
        await _members(services, demo)
        companies = list(words.companies(COMPANIES))
        company_ids = await _companies(services, companies)
        await _contacts(services, words.contacts(CONTACTS, companies), company_ids)
    done = demo.model_copy(update={"complete": True})
    done.save(wiring.layout.demo)
    return done


def _plan(organisation: str, password: str) -> Demo:
    """Return the organisation with a member for each role of the contract, the owner first."""
    roles = [name.removeprefix("ROLE_").lower() for name, number in members_pb2.Role.items() if number]
    members = [DemoMember(role=role, email=f"{role.replace('_', '-')}@{DOMAIN}") for role in roles]
    return Demo(organisation=organisation, password=password, members=members)


async def _owner(wiring: Wiring, demo: Demo) -> Session:
    """Register the organisation; if that was done in an earlier, interrupted run, sign in."""
    owner = next(member for member in demo.members if member.role == OWNER)
    credentials = {"email": owner.email, "password": demo.password}
    place = {"locale": "en-GB", "timeZone": "Europe/London", "region": "GB"}
    registration = {**credentials, **place, "organisation": demo.organisation, "name": _name(owner)}
    session = await calls.sign_in(wiring, "/v1/auth:register", registration) or await calls.sign_in(wiring, "/v1/auth:signIn", credentials)
    if session is None:
        raise SeedError(f"{owner.email} exists with another password; remove {wiring.layout.data} to begin anew")
    return session


def _name(member: DemoMember) -> str:
    return f"Demo {member.role.replace('_', ' ')}"


async def _members(services: Bulk, demo: Demo) -> None:
    create = services.stub("identity", members_pb2_grpc.MemberServiceStub).CreateMember
    async with asyncio.TaskGroup() as group:
        for member in demo.members:
            if member.role != OWNER:
                role = members_pb2.Role.Value(f"ROLE_{member.role.upper()}")
                wanted = members_pb2.Member(email=member.email, name=_name(member), role=role)
                request = members_pb2.CreateMemberRequest(member=wanted, password=demo.password)
                group.create_task(services.call("identity", create, request, f"demo-member-{member.role}"))


async def _companies(services: Bulk, companies: Iterable[CompanyWords]) -> list[str]:
    create = services.stub("crm", companies_pb2_grpc.CompanyServiceStub).CreateCompany
    requests = [companies_pb2.CreateCompanyRequest(company=_company(words)) for words in companies]
    made = await asyncio.gather(*(services.call("crm", create, request, f"demo-company-{n}") for n, request in enumerate(requests)))
    return [company.id for company in made]


async def _contacts(services: Bulk, contacts: Iterable[ContactWords], company_ids: list[str]) -> None:
    create = services.stub("crm", contacts_pb2_grpc.ContactServiceStub).CreateContact
    requests = [contacts_pb2.CreateContactRequest(contact=_contact(words, company_ids)) for words in contacts]
    await asyncio.gather(*(services.call("crm", create, request, f"demo-contact-{n}") for n, request in enumerate(requests)))


def _company(words: CompanyWords) -> companies_pb2.Company:
    return companies_pb2.Company(
        name=words.name,
        domain=words.domain,
        phones=[parts_pb2.Phone(number=words.phone, label=WORK)],
        address=parts_pb2.Address(city=words.city, region="GB"),
    )


def _contact(words: ContactWords, company_ids: list[str]) -> contacts_pb2.Contact:
    return contacts_pb2.Contact(
        given_name=words.given_name,
        family_name=words.family_name,
        emails=[parts_pb2.Email(address=words.email, label=WORK)],
        phones=[parts_pb2.Phone(number=words.phone, label=WORK)],
        title=words.title,
        department=words.department,
        source=words.source,
        tags=words.tags,
        company_id=company_ids[words.company],
    )
