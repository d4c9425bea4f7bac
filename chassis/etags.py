"""Etags: the version of a row in quotes (RFC 9110, section 8.8.3, strong)."""

import re
from typing import Final

from chassis.errors import InvalidArgument, Reason, Violation

_FORM: Final = re.compile(r'"([1-9][0-9]{0,17})"')


def of(version: int) -> str:
    """Return the etag of a row version."""
    return f'"{version}"'


def version(etag: str, *, field: str = "etag") -> int:
    """Return the row version that an etag stands for; refuse what is no etag of ours."""
    match = _FORM.fullmatch(etag)
    if match is None:
        violation = Violation(field, 'must be an etag as an answer gave it, such as "3" with its quotes')
        raise InvalidArgument(Reason.FIELD_INVALID, f"{field}: not an etag", fields=[violation])
    return int(match[1])


def fits(stored: str, given: str) -> bool:
    """Say whether a write may go on: its etag is the stored one, or it has none and means whatever is there (AIP-154)."""
    return not given or version(given) == version(stored)
