"""What a contact must be like, and the form in which it is kept. The numbers are those of the contract's comments."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from chassis import moments, tags, texts
from chassis.errors import Violation
from services.crm.parts import addresses, emails, phones
from services.crm.search import rules as search

if TYPE_CHECKING:
    from kith.crm.v1.contacts_pb2 import Contact
    from kith.crm.v1.parts_pb2 import SocialProfile

LENGTHS: Final = {"given_name": 100, "family_name": 100, "title": 100, "department": 100, "source": 100}
MOST_PROFILES: Final = 20
NETWORK_LENGTH: Final = 50
URL_LENGTH: Final = 2_000

EMAIL: Final = "email"
PHONE: Final = "phone"


def tidy(contact: "Contact", before: "Contact", region: str) -> None:
    """Bring a contact to the form in which it is kept; `before` is how it was kept so far, `region` where its phones are read."""
    for name in LENGTHS:
        setattr(contact, name, getattr(contact, name).strip())
    emails.tidy(contact.emails)
    phones.tidy(contact.phones, region, {phone.number: phone for phone in before.phones})
    contact.tags[:] = tags.tidy(contact.tags)
    if contact.HasField("address"):
        addresses.tidy(contact.address)
    if contact.HasField("last_contacted_time"):
        moments.tidy(contact.last_contacted_time)
    contact.display_name = display_name(contact)


def display_name(contact: "Contact") -> str:
    """Return given and family name, else the first email, else the first phone number."""
    name = f"{contact.given_name} {contact.family_name}".strip()
    return name or next((each.address for each in contact.emails), "") or next((each.number.strip() for each in contact.phones), "")


def check(contact: "Contact") -> Iterator[Violation]:
    """Yield what is wrong with a tidy contact."""
    for name, most in LENGTHS.items():
        yield from texts.check(name, getattr(contact, name), most)
    if not contact.display_name:
        yield Violation("given_name", "a contact has a name, an email or a phone number")
    yield from emails.check(contact.emails)
    yield from phones.check(contact.phones)
    yield from tags.check(contact.tags)
    yield from _check_profiles(contact.social_profiles)
    if contact.HasField("address"):
        yield from addresses.check(contact.address)
    if contact.HasField("last_contacted_time"):
        yield from moments.check("last_contacted_time", contact.last_contacted_time)


def _check_profiles(profiles: "Sequence[SocialProfile]") -> Iterator[Violation]:
    yield from texts.check_count("social_profiles", len(profiles), MOST_PROFILES)
    for index, profile in enumerate(profiles[:MOST_PROFILES]):
        at = f"social_profiles[{index}]"
        yield from texts.check(f"{at}.network", profile.network.strip(), NETWORK_LENGTH, least=1)
        yield from texts.check(f"{at}.url", profile.url, URL_LENGTH, least=1)
        if profile.url and not _is_page(profile.url):
            yield Violation(f"{at}.url", "must be an http or https address")


def _is_page(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and not any(character.isspace() for character in url)


def keys(contact: "Contact") -> set[tuple[str, str]]:
    """Return all that a contact is found by: kind and normalised key."""
    found = {(EMAIL, emails.key(email.address)) for email in contact.emails}
    return found.union(*({(PHONE, key) for key in phones.keys(phone.number, phone.e164)} for phone in contact.phones))


def entry(contact: "Contact") -> search.Entry:
    """Return how a contact shows in answers of the search, and what it is found by there."""
    addresses, numbers = [email.address for email in contact.emails], [(phone.number, phone.e164) for phone in contact.phones]
    second = (contact.title, *addresses[:1], *(typed for typed, _ in numbers[:1]))
    tokens = search.merged(
        search.name_tokens(contact.given_name, contact.family_name), search.email_tokens(addresses), search.phone_tokens(numbers)
    )
    return search.Entry(contact.display_name, next((each for each in second if each and each != contact.display_name), ""), tokens)
