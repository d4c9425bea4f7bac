"""Rules of contacts and companies, and of records in bulk."""

from collections.abc import Iterable

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from chassis.errors import FailedPrecondition, Violation
from kith.crm.v1.companies_pb2 import Company
from kith.crm.v1.contacts_pb2 import Contact
from kith.crm.v1.parts_pb2 import Phone, SocialProfile
from services.crm.companies import rules as companies
from services.crm.contacts import rules as contacts
from services.crm.reasons import Reason
from services.crm.records import rules as records


def fields(violations: Iterable[Violation]) -> list[str]:
    return [violation.field for violation in violations]


def tidied(contact: Contact, before: Contact | None = None, region: str = "US") -> Contact:
    contacts.tidy(contact, before or Contact(), region)
    return contact


@pytest.mark.parametrize(
    ("contact", "shown"),
    [
        (Contact(given_name=" Ann ", family_name="Lee"), "Ann Lee"),
        (Contact(family_name="Lee"), "Lee"),
        (Contact(emails=[{"address": "ann@Example.com"}], phones=[{"number": "555"}]), "ann@example.com"),
        (Contact(phones=[{"number": " 555 123 4567"}]), "555 123 4567"),
        (Contact(title="Boss"), ""),
    ],
)
def test_a_contact_is_shown_by_name_else_email_else_phone(contact: Contact, shown: str) -> None:
    assert tidied(contact).display_name == shown


def test_a_contact_without_name_email_and_phone_is_refused() -> None:
    assert fields(contacts.check(tidied(Contact(title="Boss")))) == ["given_name"]


@pytest.mark.parametrize(
    ("contact", "field"),
    [
        (Contact(given_name="x" * 101), "given_name"),
        (Contact(given_name="a", family_name="b\0"), "family_name"),
        (Contact(given_name="a", phones=[{"number": "1"}] * 21), "phones"),
        (Contact(given_name="a", phones=[{"number": "1"}, {"number": " "}]), "phones[1].number"),
        (Contact(given_name="a", phones=[{"number": "1", "label": "x" * 51}]), "phones[0].label"),
        (Contact(given_name="a", emails=[{"address": "ann"}]), "emails[0].address"),
        (Contact(given_name="a", tags=[str(number) for number in range(51)]), "tags"),
        (Contact(given_name="a", address={"region": "USA"}), "address.region"),
        (Contact(given_name="a", social_profiles=[{"network": "x", "url": "https://x.com/a"}] * 21), "social_profiles"),
        (Contact(given_name="a", social_profiles=[{"network": "", "url": "https://x.com/a"}]), "social_profiles[0].network"),
        (Contact(given_name="a", social_profiles=[{"network": "x", "url": "javascript:alert(1)"}]), "social_profiles[0].url"),
        (Contact(given_name="a", social_profiles=[{"network": "x", "url": "https://[x"}]), "social_profiles[0].url"),
        (Contact(given_name="a", last_contacted_time=Timestamp(seconds=2**40)), "last_contacted_time"),
        (Contact(given_name="a", last_contacted_time=Timestamp(nanos=-1)), "last_contacted_time"),
    ],
)
def test_what_is_wrong_with_a_contact_is_said_by_field(contact: Contact, field: str) -> None:
    assert fields(contacts.check(tidied(contact))) == [field]


def test_all_that_is_wrong_is_said_at_once() -> None:
    contact = tidied(Contact(title="x" * 101, emails=[{"address": "ann"}], social_profiles=[SocialProfile()]))
    assert fields(contacts.check(contact)) == ["title", "emails[0].address", "social_profiles[0].network", "social_profiles[0].url"]


def test_a_number_that_did_not_change_keeps_its_e164_form_when_the_region_changed() -> None:
    before = tidied(Contact(phones=[{"number": "555 123 4567"}]), region="US")
    after = tidied(Contact(phones=[{"number": "555 123 4567", "label": "work"}]), before, region="GB")
    assert after.phones[0] == Phone(number="555 123 4567", e164="+15551234567", label="work")


def test_a_caller_cannot_say_what_the_e164_form_is() -> None:
    assert tidied(Contact(phones=[{"number": "n/a", "e164": "+15551234567", "extension": "1"}])).phones[0] == Phone(number="n/a")


def test_times_are_cut_to_what_the_database_holds() -> None:
    assert tidied(Contact(last_contacted_time=Timestamp(seconds=1, nanos=123_456_789))).last_contacted_time.nanos == 123_456_000


def test_a_contact_is_found_by_every_email_and_number() -> None:
    contact = tidied(Contact(emails=[{"address": "Ann@example.com"}, {"address": "ann@x.org"}], phones=[{"number": "555 123 4567"}]))
    assert contacts.keys(contact) >= {
        ("email", "ann@example.com"),
        ("email", "ann@x.org"),
        ("phone", "+15551234567"),
        ("phone", "5551234567"),
    }


@pytest.mark.parametrize(
    ("company", "field"),
    [
        (Company(), "name"),
        (Company(name="x" * 201), "name"),
        (Company(name="a", domain="localhost"), "domain"),
        (Company(name="a", employee_count=-1), "employee_count"),
        (Company(name="a", description="x" * 10_001), "description"),
        (Company(name="a", phones=[{"number": ""}]), "phones[0].number"),
        (Company(name="a", address={"city": "x" * 101}), "address.city"),
    ],
)
def test_what_is_wrong_with_a_company_is_said_by_field(company: Company, field: str) -> None:
    companies.tidy(company, Company(), "US")
    assert fields(companies.check(company)) == [field]


def test_a_company_is_tidied() -> None:
    company = Company(name=" Acme ", domain="https://www.Acme.com/", tags=["a", "a "])
    companies.tidy(company, Company(), "US")
    assert company == Company(name="Acme", domain="acme.com", tags=["a"])


def test_only_a_live_record_changes_and_only_a_deleted_one_is_restored() -> None:
    records.must_be_live("contact", deleted=False)
    records.must_be_deleted("contact", deleted=True)
    with pytest.raises(FailedPrecondition) as refused:
        records.must_be_live("contact", deleted=True)
    assert refused.value.reason is Reason.RECORD_DELETED
    with pytest.raises(FailedPrecondition) as refused:
        records.must_be_deleted("contact", deleted=False)
    assert refused.value.reason is Reason.RECORD_NOT_DELETED


@pytest.mark.parametrize("ids", [[], ["a"] * 501, [str(number) for number in range(501)]])
def test_a_batch_has_one_to_five_hundred_requests(ids: list[str]) -> None:
    assert "requests" in fields(records.check_written(ids, "id"))


def test_a_record_stands_once_in_a_batch() -> None:
    assert fields(records.check_written(["a", "b", "a"], "contact.id")) == ["requests[2].contact.id"]


@pytest.mark.parametrize(("count", "wrong"), [(0, ["ids"]), (1, []), (200, []), (201, ["ids"])])
def test_one_to_two_hundred_records_are_read_at_once(count: int, wrong: list[str]) -> None:
    assert fields(records.check_read(["x"] * count)) == wrong
