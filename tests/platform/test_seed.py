"""The demo organisation is made once, whatever interrupts the making."""

import itertools

import httpx
import pytest

from stack.demo import seed as seeding
from stack.demo.account import Demo
from stack.demo.words import Words
from stack.wiring import Wiring

COMPANIES = 4
CONTACTS = 30


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seeding, "COMPANIES", COMPANIES)
    monkeypatch.setattr(seeding, "CONTACTS", CONTACTS)


async def _sign_in(edge: httpx.AsyncClient, demo: Demo, email: str) -> dict[str, str]:
    answer = await edge.post("/v1/auth:signIn", json={"email": email, "password": demo.password})
    assert answer.is_success, answer.text
    return {"authorization": f"Bearer {answer.json()['accessToken']}"}


async def _names(edge: httpx.AsyncClient, headers: dict[str, str], path: str, noun: str) -> list[str]:
    answer = await edge.get(path, params={"pageSize": 200}, headers=headers)
    assert answer.is_success, answer.text
    return sorted(each["id"] for each in answer.json()[noun])


@pytest.mark.usefixtures("small")
async def test_an_interrupted_seed_goes_on_and_makes_nothing_twice(platform: Wiring, edge: httpx.AsyncClient) -> None:
    demo = await seeding.seed(platform)
    owner = await _sign_in(edge, demo, "owner@demo.example")
    first = [await _names(edge, owner, path, noun) for path, noun in (("/v1/contacts", "contacts"), ("/v1/companies", "companies"))]
    assert [len(each) for each in first] == [CONTACTS, COMPANIES]

    demo.model_copy(update={"complete": False}).save(platform.layout.demo)
    assert await seeding.seed(platform) == demo
    assert first == [await _names(edge, owner, path, noun) for path, noun in (("/v1/contacts", "contacts"), ("/v1/companies", "companies"))]

    roles = []
    for member in demo.members:
        me = await edge.get("/v1/me", headers=await _sign_in(edge, demo, member.email))
        roles.append(me.json()["role"])
    assert sorted(roles) == sorted(f"ROLE_{member.role.upper()}" for member in demo.members)


def test_the_same_seed_says_the_same_words() -> None:
    one, other = Words(7), Words(7)
    assert one.organisation() == other.organisation()
    assert list(one.companies(20)) == list(other.companies(20))


def test_companies_and_addresses_are_all_different() -> None:
    words = Words(seeding.SEED)
    companies = list(words.companies(seeding.COMPANIES))
    contacts = list(words.contacts(seeding.CONTACTS, companies))
    assert len({company.name for company in companies}) == seeding.COMPANIES
    assert len({contact.email for contact in contacts}) == seeding.CONTACTS


def test_nobody_answers_at_an_invented_address_or_number() -> None:
    words = Words(seeding.SEED)
    companies = list(words.companies(50))
    contacts = itertools.islice(words.contacts(100, companies), 100)
    assert all(company.domain.endswith(".example") for company in companies)
    assert all(contact.email.endswith(".example") and contact.phone.startswith("+44 20 7946 0") for contact in contacts)
