"""A field that is named like a secret or like personal data says so, or stands below with the reason why not."""

from collections.abc import Iterator, Mapping
from typing import Final

from kith.options.v1 import options_pb2
from stack.contract_check.fault import Fault
from stack.contract_check.image import Field, Image, Message

# One of these words in a field's name makes it look like something that gives access.
SECRET_WORDS: Final = frozenset({
    "code", "codes", "credential", "credentials", "hash", "key", "otp", "passphrase", "password", "passwords",
    "pin", "salt", "secret", "secrets", "seed", "signature", "token", "tokens",
})  # fmt: skip
# One of these words, or the whole name, makes it look like something about a person.
PERSONAL_WORDS: Final = frozenset({
    "address", "addresses", "birth", "birthday", "e164", "email", "emails", "gender", "ip", "latitude", "longitude",
    "mobile", "nickname", "phone", "phones", "postal", "street", "surname",
})  # fmt: skip
PERSONAL_NAMES: Final = frozenset({"display_name", "family_name", "first_name", "full_name", "given_name", "last_name", "user_agent"})

# Names, or full names of single fields, that look like a secret and are none.
NO_SECRETS: Final[Mapping[str, str]] = {
    "page_token": "says where a list goes on; it is signed and gives access to nothing",
    "next_page_token": "as page_token",
    "postal_code": "a part of an address; personal, not secret",
}
# Full names of fields that look personal and are not.
NOT_PERSONAL: Final[Mapping[str, str]] = {}

# The options describe the contract itself and hold no caller's data.
_UNCHECKED: Final = "kith.options.v1"


def check(image: Image) -> Iterator[Fault]:
    """Report sensitive-looking fields without a sensitivity, and cookies that carry no secret."""
    for message in image.messages.values():
        if message.package == _UNCHECKED:
            continue
        for field in message.fields.values():
            yield from _check_field(message, field)


def looks_secret(field: Field) -> bool:
    """Tell whether the name of a field sounds like a secret."""
    return field.is_text and not SECRET_WORDS.isdisjoint(field.name.split("_"))


def looks_personal(field: Field) -> bool:
    """Tell whether the name of a field sounds like personal data."""
    return field.is_text and (field.name in PERSONAL_NAMES or not PERSONAL_WORDS.isdisjoint(field.name.split("_")))


def _check_field(message: Message, field: Field) -> Iterator[Fault]:
    full_name = f"{message.full_name}.{field.name}"
    secret = field.sensitivity == options_pb2.SENSITIVITY_SECRET
    if looks_secret(field) and not secret and NO_SECRETS.keys().isdisjoint({field.name, full_name}):
        yield Fault(field.where, f"{full_name} is named like a secret and is not SENSITIVITY_SECRET")
    if looks_personal(field) and not field.sensitivity and full_name not in NOT_PERSONAL:
        yield Fault(field.where, f"{full_name} is named like personal data and is not SENSITIVITY_PERSONAL")
    if field.cookie and not secret:
        yield Fault(field.where, f"{full_name} is carried in a cookie and is not SENSITIVITY_SECRET")
