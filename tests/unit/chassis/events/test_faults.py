"""Outages of what we stand on are told from faults of an event and its handler."""

import nats.errors
import psycopg
import pytest
from google.protobuf.message import DecodeError
from psycopg import errors as pg

from chassis.database.pipeline import LostError
from chassis.database.pool import CrowdedError
from chassis.errors import Aborted, DeadlineExceeded, Internal, InvalidArgument, NotFound, Reason, ResourceExhausted, Unavailable
from chassis.events.faults import Failure, Verdict, failure

OUTAGES = [
    psycopg.OperationalError("connection refused"),
    psycopg.InterfaceError("the connection is closed"),
    CrowdedError(),
    LostError(),
    pg.AdminShutdown(),
    pg.SerializationFailure(),
    pg.DeadlockDetected(),
    pg.LockNotAvailable(),
    pg.QueryCanceled(),
    pg.DiskFull(),
    pg.ReadOnlySqlTransaction(),
    pg.IdleInTransactionSessionTimeout(),
    nats.errors.TimeoutError(),
    nats.errors.ConnectionClosedError(),
    TimeoutError(),
    ConnectionRefusedError(),
    Unavailable(Reason.UNAVAILABLE, "away"),
    DeadlineExceeded(Reason.DEADLINE_EXCEEDED, "late"),
    ResourceExhausted(Reason.RATE_LIMITED, "too many", retry_after=1),
    Aborted(Reason.TRY_AGAIN, "met another", retry_after=0.1),
]
FAULTS = {
    "KeyError": KeyError("x"),
    "UniqueViolation": pg.UniqueViolation(),
    "DatatypeMismatch": pg.DatatypeMismatch(),
    "ProgramLimitExceeded": pg.ProgramLimitExceeded(),  # a value too large for an index: an OperationalError by name alone
    "PipelineAborted": pg.PipelineAborted(),
    "NotFound NOT_FOUND": NotFound(Reason.NOT_FOUND, "no such record"),
    "InvalidArgument FIELD_INVALID": InvalidArgument(Reason.FIELD_INVALID, "first@example.com is no number"),
    "Aborted ETAG_MISMATCH": Aborted(Reason.ETAG_MISMATCH, "changed"),
    "Internal INTERNAL": Internal(Reason.INTERNAL, "broke"),
}


@pytest.mark.parametrize("error", OUTAGES, ids=lambda error: type(error).__name__)
def test_an_outage_says_nothing_about_the_event(error: Exception) -> None:
    assert failure(error).verdict is Verdict.OUTAGE


@pytest.mark.parametrize(("reason", "error"), FAULTS.items(), ids=list(FAULTS))
def test_a_fault_is_named_and_not_quoted(reason: str, error: Exception) -> None:
    assert failure(error) == Failure(reason, Verdict.FAULT)


def test_what_cannot_be_read_is_not_tried_again() -> None:
    assert failure(DecodeError("first@example.com")) == Failure("DecodeError", Verdict.UNREADABLE)
