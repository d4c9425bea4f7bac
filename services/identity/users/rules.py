"""What a password must be: long and hard to guess, and nothing else (ID-2, NIST SP 800-63B-4)."""

import unicodedata
from collections.abc import Iterable
from typing import Final

MIN_LENGTH: Final = 15
MAX_LENGTH: Final = 128
MIN_SCORE: Final = 3
GUESSED_LENGTH: Final = 72  # zxcvbn takes 3-38 ms up to here, and 1.4 s at 497 characters
TELLING_LENGTH: Final = 4  # shorter names stand in too many good passwords by chance
RAW_LENGTH: Final = 4 * MAX_LENGTH  # no 128 characters need more before they are put in one Unicode form


def normalise(password: str) -> str:
    """Return the password in the one Unicode form that is hashed. What is longer than any password may be becomes the empty one."""
    return unicodedata.normalize("NFC", password) if len(password) <= RAW_LENGTH else ""


def weakness(password: str, about: Iterable[str]) -> str:
    """Return why a normalised password is refused, or nothing if it is good. `about` is what others know: email, organisation, name.

    zxcvbn keeps what is known about the person in a global of its module: never call this from two threads at once.
    """
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        return f"must have {MIN_LENGTH} to {MAX_LENGTH} characters"
    known = {part.casefold() for text in about for part in (text, text.partition("@")[0]) if len(part) >= TELLING_LENGTH}
    if any(part in password.casefold() for part in known):
        return "must not contain your email address, your name or the organisation's name"
    from zxcvbn import zxcvbn  # noqa: PLC0415 - its word lists take 14 MB, which a process that registers nobody need not hold

    guess = zxcvbn(password[:GUESSED_LENGTH], user_inputs=sorted(known | {word for part in known for word in part.split()}))
    if guess["score"] < MIN_SCORE:
        return "is too easy to guess; several unrelated words make a good password"
    return ""
