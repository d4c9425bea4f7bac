"""Whose fault it is that an event was not handled: its own or its handler's, which counts as a try, or that of what we stand on."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

import nats.errors
import psycopg
from google.protobuf.message import DecodeError

from chassis.errors import DeadlineExceeded, Refusal, Unavailable
from chassis.vault import VaultError

_PASSING: Final = frozenset({"08", "40", "53", "55", "57", "58"})
"""Classes of SQLSTATE (PostgreSQL 18, appendix A): connection, rolled back for another's sake, resources, locks, operator, system."""

_CUT_OFF: Final = frozenset({"25006", "25P03", "25P04"})
"""A standby in the primary's place, and transactions that the server ended because they took too long."""


class Verdict(Enum):
    """What a failed try says about the next one."""

    OUTAGE = "outage"
    """Something that we stand on was away: the try says nothing about the event and does not count."""

    FAULT = "fault"
    """The event, its handler, or what they found; another try may find something else."""

    UNREADABLE = "unreadable"
    """No try of this release can read the payload."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an event was not handled. The reason names the error and never quotes it: its text may hold personal data."""

    reason: str
    verdict: Verdict


def failure(error: Exception) -> Failure:
    """Return what an error that ended a handler means."""
    reason = type(error).__name__
    if isinstance(error, DecodeError | VaultError):
        return Failure(reason, Verdict.UNREADABLE)
    if isinstance(error, Refusal):
        reason = f"{reason} {error.reason}"
    return Failure(reason, Verdict.OUTAGE if _is_outage(error) else Verdict.FAULT)


def _is_outage(error: Exception) -> bool:
    match error:
        case Refusal():
            return isinstance(error, Unavailable | DeadlineExceeded) or error.retry_after is not None
        case psycopg.Error():
            return _is_outage_of_the_database(error)
    return isinstance(error, nats.errors.Error | OSError)  # time-outs are OSErrors


def _is_outage_of_the_database(error: psycopg.Error) -> bool:
    """Tell a database that is away or busy from a statement that it refuses; an error without SQLSTATE is the driver's or the pool's."""
    state = error.sqlstate
    if state is None:
        without_answer = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
        return without_answer and not isinstance(error, psycopg.errors.PipelineAborted)  # which an error before it caused
    return state[:2] in _PASSING or state in _CUT_OFF
