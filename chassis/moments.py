"""Points in time that callers give: what the database can hold, to the microsecond that it holds."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from chassis.errors import Violation

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

FIRST: Final = -62_135_596_800  # 0001-01-01T00:00:00Z, the first that google.protobuf.Timestamp has
LAST: Final = 253_402_300_799  # 9999-12-31T23:59:59Z, its last
_NANOS: Final = range(1_000_000_000)


def tidy(moment: "Timestamp") -> None:
    """Cut to microseconds, so that the answer to a write is what a later read finds."""
    moment.nanos -= moment.nanos % 1_000


def check(field: str, moment: "Timestamp") -> Iterator[Violation]:
    """Yield what is wrong with a time."""
    if not FIRST <= moment.seconds <= LAST or moment.nanos not in _NANOS:
        yield Violation(field, "must be between the years 1 and 9999")
