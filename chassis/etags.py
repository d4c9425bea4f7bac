"""Etags: the version of a row in quotes (RFC 9110, section 8.8.3, strong)."""

import re
from typing import Final

from chassis.errors import Aborted, InvalidArgument, Reason, Violation

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


def check(stored: str, given: str, **metadata: str) -> None:
    """Refuse a write whose etag is not the stored one. No etag at all means: whatever is there (AIP-154)."""
    if given and version(given) != version(stored):
        raise Aborted(Reason.ETAG_MISMATCH, "the record changed since it was read", etag=stored, **metadata)
