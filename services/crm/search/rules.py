"""What a record is found by, how a query is read, and which records come first (CRM-5). Pure Python.

A record has tokens, a query has words; a record is found when each word is the beginning of one of its tokens. Both are folded
alike: case, accents, strokes and compatibility forms go, character by character, so that the beginning of a text gives the
beginning of its tokens. Letters, their signs and digits make up a word; "." and "@" join them, an apostrophe joins them and goes
away. A token starts at each joint: "ann.lee@example.com" gives itself, "lee@example.com" and "example.com". The last label of a
domain is none. Where words are written without spaces between them (Chinese, Japanese, Thai), a token starts at each character.
A number has the tokens of all ways to dial it, and its last 4, 7 and 10 digits.

Digits in a query may stand in any punctuation: they are read as one number first, then as the words that they look like.

The order of what was found: each word counts 2 when it is a whole token and 1 more when it stands in the name; the most points
come first, and of two with the same, the one that was created later.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from chassis import texts
from chassis.errors import Violation
from services.crm.parts import phones

VERSION: Final = 2
"""Version of the tokens, kept beside each. Raise it with every change of them; `kith reindex` then renews what is older."""

QUERY_LENGTH: Final = 200
MOST_WORDS: Final = 8
TOKEN_LENGTH: Final = 64
"""Characters of a token and of a word; what is longer is told apart by these."""

SEARCHED: Final = 1_000
"""Tokens of the rarest word that a search looks at, in each kind."""

SUGGESTIONS: Final = 8
SUGGESTED_FROM: Final = 200
"""Tokens of the rarest word that a suggestion looks at, in each kind: it is asked with every key."""

LOOKED_AT: Final = 24
"""Records that a suggestion looks at, for some may show the same title."""

WHOLE: Final = 2
IN_NAME: Final = 1

_FOLDED: Final[dict[int, int | str | None]] = {
    **str.maketrans("\u2018\u2019\u02bc`_", "'''' "),
    # Letters with a stroke and joined ones: Unicode takes none of them apart, and people type them without.
    **str.maketrans("øłđðħŧŋ\N{LATIN SMALL LETTER DOTLESS I}", "olddhtni"),
    ord("æ"): "ae",
    ord("œ"): "oe",
    ord("þ"): "th",
    # Joiners, soft hyphens and marks of direction stand in a word and are not seen.
    **str.maketrans("", "", "\u00ad\u200c\u200d\u200e\u200f\ufeff"),
}
_SIGNS: Final = "".join(chr(code) for code in range(0x0900, 0x1D00) if unicodedata.category(chr(code)) in {"Mn", "Mc"})
"""Vowels and other signs that are written around the letters of Indic and South East Asian scripts."""

_WORD: Final = re.compile(rf"[\w{_SIGNS}]+(?:[.@'][\w{_SIGNS}]+)*")
_JOINT: Final = re.compile(r"(?<=[.@'])")
_START: Final = re.compile(
    _JOINT.pattern + r"|(?=[\u0e01-\u0e2e\u0e40-\u0e44\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff])"
)
"""Where a token starts inside of a word: behind a joint, and before each character of scripts without spaces."""

_NUMBER: Final = re.compile(r"(?<![\w@])(?<!\w[.'])[+(]*\d+(?:[\s().\-/+]+\d+)*(?![\w@]|[.']\w)")
_NO_DIGIT: Final = re.compile(r"\D+")
_SUFFIXES: Final = (4, 7, 10)
_INTERNATIONAL: Final = "00"
_INTERNATIONAL_LENGTH: Final = 8
"""Digits from which on a leading "00" is what some dial before a country's code."""


class Field(IntEnum):
    """The part of a record that a token is from; the numbers are those of kith.crm.v1.SearchField."""

    NAME = 1
    EMAIL = 2
    PHONE = 3
    DOMAIN = 4


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of a record here: how it shows, and its tokens with the field of each."""

    title: str
    subtitle: str
    tokens: Mapping[str, Field]


def fold(text: str) -> str:
    """Return the text without case, accents, strokes and compatibility forms, character by character."""
    bare = texts.bare(text)
    if bare.isascii():
        return bare.replace("`", "'").replace("_", " ")
    return unicodedata.normalize("NFKD", bare).translate(_FOLDED)


def name_tokens(*names: str) -> dict[str, Field]:
    """Return the tokens of what a record is called."""
    return dict.fromkeys((token for name in names for token in _tokens(name)), Field.NAME)


def email_tokens(addresses: Sequence[str]) -> dict[str, Field]:
    """Return the tokens of email addresses."""
    return dict.fromkeys((token for address in addresses for token in _without_top_level(address)), Field.EMAIL)


def domain_tokens(domain: str) -> dict[str, Field]:
    """Return the tokens of a domain."""
    return dict.fromkeys(_without_top_level(domain), Field.DOMAIN)


def phone_tokens(numbers: Sequence[tuple[str, str]]) -> dict[str, Field]:
    """Return the tokens of phone numbers, each as it was typed and in E.164 form, which may be empty."""
    return dict.fromkeys((token for typed, e164 in numbers for token in _ways_to_dial(typed, e164)), Field.PHONE)


def merged(*tokens: Mapping[str, Field]) -> dict[str, Field]:
    """Return all tokens; one that is from several fields counts for the first of them."""
    return {token: field for each in reversed(tokens) for token, field in each.items()}


def check(query: str) -> Iterator[Violation]:
    """Yield what is wrong with a query."""
    wrong = list(texts.check("query", query, QUERY_LENGTH))
    yield from wrong
    if not wrong and len(_words(fold(query))) > MOST_WORDS:
        yield Violation("query", f"must have at most {MOST_WORDS} words")


def readings(query: str) -> list[list[str]]:
    """Return the ways to read a query, each as its words, the likelier first."""
    folded = fold(query)
    read = (_words(_NUMBER.sub(_digits, folded)), _words(folded))
    return [words for number, words in enumerate(read) if words and words not in read[:number]]


def score(word: str, token: str, field: Field) -> int:
    """Return what a word counts that is the beginning of a token."""
    return WHOLE * (word == token) + IN_NAME * (field == Field.NAME)


def matched(words: Sequence[str], tokens: Mapping[str, Field]) -> Field | None:
    """Return the field in which the best of the words was found, None unless all of them were."""
    found = [_best(word, tokens) for word in words]
    if None in found:
        return None
    return max((each for each in found if each), key=lambda each: each[0])[1]


def _best(word: str, tokens: Mapping[str, Field]) -> tuple[int, Field] | None:
    hits = [(score(word, token, field), field) for token, field in tokens.items() if token.startswith(word)]
    return max(hits, key=lambda hit: hit[0], default=None)


def _words(folded: str) -> list[str]:
    """Return the words of a folded query, each once."""
    return list(dict.fromkeys(_cut(word) for word in _WORD.findall(folded)))


def _tokens(text: str) -> Iterator[str]:
    for word in _WORD.findall(fold(text)):
        starts = _JOINT if word.isascii() else _START
        if starts is _JOINT and word.isalnum():
            yield _cut(word)
        else:
            yield from (_cut(word[start:]) for start in dict.fromkeys((0, *(place.start() for place in starts.finditer(word)))))


def _without_top_level(domain: str) -> Iterator[str]:
    """Yield the tokens of what ends with a domain; every address would have "com"."""
    top_level = _cut(fold(domain).rpartition(".")[2])
    return (token for token in _tokens(domain) if token != top_level)


def _ways_to_dial(typed: str, e164: str) -> Iterator[str]:
    keys = [key.removeprefix("+") for key in phones.keys(typed, e164)]
    digits = e164.removeprefix("+") or max(keys, key=len, default="")
    yield from map(_cut, keys)
    yield from (digits[-length:] for length in _SUFFIXES if len(digits) > length)


def _digits(number: re.Match[str]) -> str:
    digits = _NO_DIGIT.sub("", number[0])
    return digits.removeprefix(_INTERNATIONAL) if len(digits) >= _INTERNATIONAL_LENGTH else digits


def _cut(word: str) -> str:
    return word.replace("'", "")[:TOKEN_LENGTH]
