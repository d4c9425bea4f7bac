"""The companies that rows of contacts name: found, made where the import asks for that, or else why the row fails."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from chassis import texts
from chassis.database import UnitOfWork
from chassis.errors import InvalidArgument, Violation, invalid
from chassis.records import Draft
from kith.crm.v1.companies_pb2 import Company
from kith.crm.v1.contacts_pb2 import Contact
from services.crm.companies import rules, store
from services.crm.reasons import Reason
from services.crm.records.actions import Records

FIELD: Final = "company"
"""What the fields of these columns begin with."""


class Asked(NamedTuple):
    """A draft of a contact and the company that its row names, which has a name; None where it names none."""

    company: Company | None
    draft: Draft[Contact]


def problems(company: Company) -> list[Violation]:
    """Bring what a row says of a company to the form in which one is kept, and return what is wrong with it."""
    rules.tidy(company, Company(), "")
    company.name = company.name or company.domain
    return [Violation(f"{FIELD}.{each.field}", each.description) for each in rules.check(company)]


class Employers:
    """Brings contacts into the companies that their rows name."""

    def __init__(self, companies: Records[Company], *, create: bool) -> None:
        self._companies = companies
        self._create = create

    async def settle(self, work: UnitOfWork, asked: Sequence[Asked]) -> list[Draft[Company]]:
        """Give each draft its company, or refuse it; return the drafts of the companies that were made for it.

        One after the other, so that a row finds what one before it makes. Only what is written makes a company.
        """
        wanted = [(company, draft) for company, draft in asked if company is not None and draft.refusal is None]
        if not wanted:
            return []
        known = _Known(await _look(work, [company for company, _ in wanted]))
        meant = [(draft, self._one(known, company, draft)) for company, draft in wanted]
        missing = [company for company in known if not company.id]
        made = await self._companies.create_tidy(work, missing) if missing else []
        for draft, company in meant:
            if company is not None:
                draft.after.company_id = company.id
        return made

    def _one(self, known: "_Known", wanted: Company, draft: Draft[Contact]) -> Company | None:
        """Return the company that is meant, which may be one that is still to be made; refuse the draft when there is none."""
        fitting = known.fitting(wanted)
        if len(fitting) > 1:
            fitting = [each for each in fitting if each.id and each.id == draft.before.company_id] or fitting
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            draft.refuse(_ambiguous(wanted, len(fitting)))
        elif self._create:
            return known.add(Company(name=wanted.name, domain=wanted.domain))
        else:
            draft.refuse(_unknown(wanted))
        return None


class _Known:
    """Companies by domain and folded name."""

    def __init__(self, companies: Iterable[Company]) -> None:
        self._all: list[Company] = []
        self._by_domain: dict[str, list[Company]] = {}
        self._by_name: dict[str, list[Company]] = {}
        for company in companies:
            self.add(company)

    def __iter__(self) -> Iterator[Company]:
        return iter(self._all)

    def add(self, company: Company) -> Company:
        """Take up a company and return it."""
        self._all.append(company)
        self._by_domain.setdefault(company.domain, []).append(company)
        self._by_name.setdefault(texts.fold(company.name), []).append(company)
        return company

    def fitting(self, wanted: Company) -> list[Company]:
        """Return the companies that may be meant. A domain is a company's own: one of the same name that has another is another."""
        called = self._by_name.get(texts.fold(wanted.name), [])
        if not wanted.domain:
            return called
        there = self._by_domain.get(wanted.domain, [])
        if len(there) > 1:
            return [each for each in called if each.domain == wanted.domain] or there
        return there or [each for each in called if not each.domain]


async def _look(work: UnitOfWork, wanted: Collection[Company]) -> list[Company]:
    domains = {company.domain for company in wanted if company.domain}
    return await store.named(work, domains, {texts.fold(company.name) for company in wanted})


def _ambiguous(wanted: Company, count: int) -> InvalidArgument:
    text = f"{count} companies fit {_said(wanted)}; which one is meant, by its domain or company_id?"
    return _refusal(Reason.COMPANY_AMBIGUOUS, wanted, text)


def _unknown(wanted: Company) -> InvalidArgument:
    return _refusal(Reason.COMPANY_UNKNOWN, wanted, f"no company fits {_said(wanted)}")


def _refusal(reason: Reason, wanted: Company, text: str) -> InvalidArgument:
    field = f"{FIELD}.domain" if wanted.domain else f"{FIELD}.name"
    return invalid(reason, field, text)


def _said(wanted: Company) -> str:
    return f'"{wanted.name}"' if wanted.domain in {"", wanted.name} else f'"{wanted.name}" with the domain {wanted.domain}'
