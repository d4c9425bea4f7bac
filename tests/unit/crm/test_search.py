"""Rules of the search: what a record is found by, how queries are read, what comes first (CRM-5)."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kith.crm.v1.companies_pb2 import Company
from kith.crm.v1.contacts_pb2 import Contact
from kith.crm.v1.search_pb2 import SearchField
from services.crm.companies import rules as companies
from services.crm.contacts import rules as contacts
from services.crm.search import rules
from services.crm.search.rules import Field

NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=100)
LOCAL = st.from_regex(r"[A-Za-z0-9]{1,12}([._+-][A-Za-z0-9]{1,12}){0,3}", fullmatch=True)
DOMAIN = st.from_regex(r"[a-z0-9]{1,12}([.-][a-z0-9]{1,12}){0,2}\.(com|dev|co)", fullmatch=True)
NATIONAL = st.from_regex(r"[2-9][0-9]{2}[2-9][0-9]{6}", fullmatch=True)


def found(query: str, entry: rules.Entry) -> Field | None:
    return next(filter(None, (rules.matched(words, entry.tokens) for words in rules.readings(query))), None)


def tidied(**fields: object) -> rules.Entry:
    contact = Contact(**fields)
    contacts.tidy(contact, Contact(), "US")
    return contacts.entry(contact)


def has_word(text: str) -> bool:
    return bool(re.search(r"[^\W_]", unicodedata.normalize("NFKD", text)))


@given(NAMES, NAMES)
def test_a_contact_is_found_by_every_beginning_of_every_word_of_its_name(given_name: str, family_name: str) -> None:
    entry = tidied(given_name=given_name, family_name=family_name)
    for word in f"{given_name} {family_name}".split():
        for end in range(1, len(word) + 1):
            if has_word(word[:end]):
                assert found(word[:end], entry) == Field.NAME
                assert found(word[:end].upper(), entry) == Field.NAME


@given(NAMES)
def test_a_contact_is_found_by_every_beginning_of_its_whole_name(name: str) -> None:
    entry = tidied(given_name=name)
    for end in range(1, len(name) + 1):
        if has_word(name[:end]) and not list(rules.check(name[:end])):
            assert found(name[:end], entry) == Field.NAME


@given(LOCAL, DOMAIN)
def test_a_contact_is_found_by_every_part_of_its_email(local: str, domain: str) -> None:
    entry = tidied(emails=[{"address": f"{local}@{domain}"}])
    parts = {f"{local}@{domain}", local, domain, *re.split(r"[._+-]", local), *re.split(r"[.-]", domain)[:-1]} - {"com", "dev", "co"}
    for part in parts:
        for end in range(1, len(part) + 1):
            if not list(rules.check(part[:end])):
                assert found(part[:end], entry) == Field.EMAIL, part[:end]


@given(NATIONAL, st.sampled_from(["{}{}{}", "({}) {}-{}", "{}.{}.{}", "{}/{} {}", "+1 {} {} {}", "+1-{}-{}-{}", "001 {} {} {}", "1{}{}{}"]))
def test_a_contact_is_found_by_its_number_in_any_punctuation(national: str, how: str) -> None:
    entry = tidied(phones=[{"number": f"+1 {national[:3]}-{national[3:6]}-{national[6:]}"}])
    assert found(how.format(national[:3], national[3:6], national[6:]), entry) == Field.PHONE


@given(NATIONAL, st.sampled_from([4, 7, 10]))
def test_a_contact_is_found_by_the_end_of_its_number(national: str, length: int) -> None:
    entry = tidied(phones=[{"number": f"+1{national}"}])
    assert found(national[-length:], entry) == Field.PHONE


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("François Müller", "francois muller"),
        ("Francois Muller", "FRANÇOIS MÜLLER"),
        ("Łukasz", "łuk"),
        ("Łukasz", "lukasz"),
        ("Søren Kierkegård", "kierkegard soren"),
        ("Đặng Thị", "dang thi"),
        ("Æthelred Þór", "aethelred thor"),
        ("K\N{LATIN SMALL LETTER DOTLESS I}z\N{LATIN SMALL LETTER DOTLESS I}lirmak", "KIZILIRMAK"),
        ("İstanbul", "istanbul"),
        ("Straße", "strasse"),
        ("Weiss", "weiß"),
        ("Ludwig van der Berg", "van der berg"),
        ("Ludwig van der Berg", "berg ludwig"),
        ("Jean-Luc d'Arc", "darc"),
        ("Jean-Luc d'Arc", "jean arc"),
        ("al-Khwārizmī", "khwarizmi"),
        ("Acme_Labs", "acme_labs"),
        ("Acme (Labs) & Sons", "sons acme"),
        ("100% Acme", "100%"),
        ("O'Neil", "oneil"),
        ("O\N{RIGHT SINGLE QUOTATION MARK}Neil", "o'neil"),
        ("O'Neil", "neil"),
        ("Anna-Lena Berg", "lena berg"),
        ("Berg, Anna", "anna berg"),
        ("Anna Lena", "anna-lena"),
        ("\uff21\uff23\uff2d\uff25", "acme"),
        ("Agent 007", "007"),
        ("Fonds 2020 2021", "2020 2021"),
        ("Fonds 2020 2021", "2021 2020"),
        ("Route 66 4you", "66 4"),
        ("한국어", "한국"),
        ("李小龙", "李小"),
        ("李小龙", "小龙"),
        ("株式会社東京商事", "東京"),
        ("ヤマダデンキ", "デンキ"),
        ("สมชายใจดี", "ใจดี"),
        ("श्रीनिवास रामानुजन", "श्रीनिवास रामानुजन"),
        ("কৃষ্ণ", "কৃষ"),
        ("Ёлкина Юлия", "елкина юлия"),
        ("Ελένη Παπαδοπούλου", "ελενη παπα"),
        ("محمد علي", "علي"),
        ("بی\N{ZERO WIDTH NON-JOINER}نام", "بینام"),
        ("שרה לוי", "לוי"),
        ("J.R. Smith", "j.r."),
        ("J.R. Smith", "j r smith"),
    ],
)
def test_a_name_is_found_as_people_type_it(name: str, query: str) -> None:
    assert found(query, tidied(given_name=name)) == Field.NAME


@pytest.mark.parametrize("query", ["nn", "lee ann x", "com", "eample", "34567", "ann' OR 1=1 --", "%nn", "a%n", ".*"])
def test_what_is_no_beginning_is_not_found(query: str) -> None:
    entry = tidied(given_name="Ann", family_name="Lee", emails=[{"address": "ann@example.com"}], phones=[{"number": "555-123-4567"}])
    assert found(query, entry) is None


@pytest.mark.parametrize("query", ["0207 946 0018", "020 7946", "+44 20 7946 0018", "0044 20 7946 0018", "7946 001", "02079460018"])
def test_a_number_is_found_by_its_national_and_international_form(query: str) -> None:
    contact = Contact(phones=[{"number": "020 7946 0018"}])
    contacts.tidy(contact, Contact(), "GB")
    expected = None if query == "7946 001" else Field.PHONE  # neither a beginning nor the last 4, 7 or 10 digits
    assert found(query, contacts.entry(contact)) == expected


def test_a_company_is_found_by_name_domain_and_number() -> None:
    company = Company(name="Société Générale", domain="www.Example.co.uk", phones=[{"number": "+33 1 42 14 20 00"}], industry="Bank")
    companies.tidy(company, Company(), "FR")
    entry = companies.entry(company)
    assert [found(query, entry) for query in ("generale", "example.co", "01 42 14 20 00", "bank")] == [
        Field.NAME, Field.DOMAIN, Field.PHONE, None,
    ]  # fmt: skip
    assert (entry.title, entry.subtitle) == ("Société Générale", "example.co.uk")


@pytest.mark.parametrize(
    ("fields", "title", "subtitle"),
    [
        ({"given_name": "Ann", "title": "Boss", "emails": [{"address": "a@example.com"}]}, "Ann", "Boss"),
        ({"given_name": "Ann", "emails": [{"address": "a@example.com"}], "phones": [{"number": "1"}]}, "Ann", "a@example.com"),
        ({"emails": [{"address": "a@example.com"}], "phones": [{"number": "12"}]}, "a@example.com", "12"),
        ({"phones": [{"number": "12"}]}, "12", ""),
    ],
)
def test_a_contact_shows_what_tells_it_from_others(fields: dict[str, object], title: str, subtitle: str) -> None:
    entry = tidied(**fields)
    assert (entry.title, entry.subtitle) == (title, subtitle)


def test_the_best_word_names_the_field() -> None:
    entry = tidied(given_name="Ann", emails=[{"address": "ann@example.com"}], phones=[{"number": "555-123-4567"}])
    assert rules.matched(["ann", "example"], entry.tokens) == Field.NAME
    assert rules.matched(["example", "4567"], entry.tokens) == Field.PHONE
    assert rules.matched(["ann", "bob"], entry.tokens) is None


@pytest.mark.parametrize("query", ["", " ", "???", "_", "\u0301", "😀", "👩\u200d💻", "%", "\\", "'", "@", "--", "\u200d"])
def test_a_query_without_words_has_no_reading(query: str) -> None:
    assert rules.readings(query) == []


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("a" * 200, 0),
        ("a" * 201, 1),
        ("a b c d e f g h", 0),
        ("a b c d e f g h i", 1),
        ("a " * 100, 0),
        (" ".join(map(str, range(100))), 1),
        ("a\0", 1),
    ],
)
def test_a_query_has_limits(query: str, wrong: int) -> None:
    assert len(list(rules.check(query))) == wrong


def test_what_is_longer_than_a_token_is_found_by_what_one_holds() -> None:
    assert found("x" * 100, tidied(given_name="x" * 100)) == Field.NAME


def test_the_fields_are_those_of_the_contract() -> None:
    assert {f"SEARCH_FIELD_{field.name}": int(field) for field in Field} == {name: number for name, number in SearchField.items() if number}


def test_tokens_change_with_their_version_alone() -> None:
    """What is kept in databases must be what these rules make. Whoever changes this list raises VERSION too."""
    entry = tidied(
        given_name="Zoë-Ann", family_name="O'Neil", emails=[{"address": "Zoe.O@mail.Example.com"}], phones=[{"number": "(555) 123-4567"}]
    )
    assert (rules.VERSION, sorted(entry.tokens)) == (
        2,
        ["1234567", "15551234567", "4567", "5551234567", "ann", "example.com", "mail.example.com", "neil", "o@mail.example.com", "oneil",
         "zoe", "zoe.o@mail.example.com"],
    )  # fmt: skip
