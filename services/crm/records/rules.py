"""What every record must keep to: which states allow which change, and how many may be named at once."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final

from chassis.errors import FailedPrecondition, Violation
from services.crm.reasons import Reason

RESTORABLE: Final = timedelta(days=90)
"""Time between deletion and purge (CRM-9)."""

MOST_READ: Final = 200
MOST_WRITTEN: Final = 500


def must_be_live(noun: str, *, deleted: bool) -> None:
    """Refuse a change of a deleted record, its deletion included: it can only be restored."""
    if deleted:
        raise FailedPrecondition(Reason.RECORD_DELETED, f"the {noun} is deleted; restore it first")


def must_be_deleted(noun: str, *, deleted: bool) -> None:
    """Refuse the restoration of a record that is not deleted."""
    if not deleted:
        raise FailedPrecondition(Reason.RECORD_NOT_DELETED, f"the {noun} is not deleted")


def check_read(ids: Sequence[str]) -> Iterator[Violation]:
    """Yield what is wrong with a list of ids to be read."""
    if not 1 <= len(ids) <= MOST_READ:
        yield Violation("ids", f"must be 1 to {MOST_READ} ids")


def check_written(ids: Sequence[str], path: str) -> Iterator[Violation]:
    """Yield what is wrong with a list of changes; `path` leads from a request to its id."""
    if not 1 <= len(ids) <= MOST_WRITTEN:
        yield Violation("requests", f"must be 1 to {MOST_WRITTEN} requests")
    seen: set[str] = set()
    for index, record_id in enumerate(ids):
        if record_id in seen:
            yield Violation(f"requests[{index}].{path}", "stands in an earlier request already")
        seen.add(record_id)
