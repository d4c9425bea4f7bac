"""What a failure of the database means to a caller."""

from typing import Final

import psycopg
from psycopg import errors as pg

from chassis.database.pool import CrowdedError
from chassis.errors import Aborted, DeadlineExceeded, Reason, Refusal, Unavailable

REPEATABLE: Final = (pg.SerializationFailure, pg.DeadlockDetected, pg.UniqueViolation)
"""What another transaction caused: run again, a handler finds what that one wrote, and can refuse what is taken by now."""


def refusal(failure: Exception) -> Refusal | None:
    """Return the refusal that a database failure is to a caller; None if it is a fault of ours."""
    match failure:
        case pg.SerializationFailure() | pg.DeadlockDetected() | pg.LockNotAvailable():
            return Aborted(Reason.TRY_AGAIN, "the change met another one at the same time", retry_after=0.1)
        case pg.QueryCanceled():
            return DeadlineExceeded(Reason.DEADLINE_EXCEEDED, "the database took longer than it may")
        case CrowdedError():
            return Unavailable(Reason.OVERLOADED, "more work than the database can take", retry_after=1)
        case psycopg.OperationalError() | psycopg.InterfaceError():
            return Unavailable(Reason.UNAVAILABLE, "the database does not answer", retry_after=1)
    return None
