"""What a company must be like, and the form in which it is kept. The numbers are those of the contract's comments."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from chassis import tags, texts
from chassis.errors import Violation
from services.crm.parts import addresses, domains, phones
from services.crm.search import rules as search

if TYPE_CHECKING:
    from kith.crm.v1.companies_pb2 import Company

LENGTHS: Final = {"name": 200, "industry": 100, "source": 100, "description": 10_000}


def tidy(company: "Company", before: "Company", region: str) -> None:
    """Bring a company to the form in which it is kept; `before` is how it was kept so far, `region` where its phones are read."""
    for name in LENGTHS:
        setattr(company, name, getattr(company, name).strip())
    if company.domain != before.domain:
        company.domain = domains.tidy(company.domain)
    phones.tidy(company.phones, region, {phone.number: phone for phone in before.phones})
    company.tags[:] = tags.tidy(company.tags)
    if company.HasField("address"):
        addresses.tidy(company.address)


def check(company: "Company") -> Iterator[Violation]:
    """Yield what is wrong with a tidy company."""
    for name, most in LENGTHS.items():
        yield from texts.check(name, getattr(company, name), most, least=1 if name == "name" else 0)
    yield from domains.check(company.domain)
    if company.employee_count < 0:
        yield Violation("employee_count", "must not be negative")
    yield from phones.check(company.phones)
    yield from tags.check(company.tags)
    if company.HasField("address"):
        yield from addresses.check(company.address)


def entry(company: "Company") -> search.Entry:
    """Return how a company shows in answers of the search, and what it is found by there."""
    tokens = search.merged(
        search.name_tokens(company.name),
        search.domain_tokens(company.domain),
        search.phone_tokens([(phone.number, phone.e164) for phone in company.phones]),
    )
    return search.Entry(company.name, company.domain or company.industry, tokens)
