"""What a service's database, roles, stream and inbox are called: where both the operator's side and the service must say the same."""

from typing import Final

SIGNING_IN: Final = ("migrator", "runtime", "system")
"""Roles of a database that have a password."""


LIMITS: Final = "kith-limits"
"""Subject on which edges tell each other what they counted; no stream keeps it."""


def database(service: str) -> str:
    """Return the name of a service's database."""
    return f"kith_{service}"


def role(service: str, name: str) -> str:
    """Return the name of a role: roles belong to the whole server, so they carry their database's name."""
    return f"{database(service)}_{name}"


def stream(service: str) -> str:
    """Return the name of the stream that keeps a service's events."""
    return f"KITH_{service.upper()}"


def subjects(service: str) -> str:
    """Return the subjects of a service's events."""
    return f"kith.{service}.>"


def subjects_of(service: str, tenant_id: str) -> str:
    """Return the subjects of a service's events of one tenant: service, noun, what happened, version, tenant."""
    return f"kith.{service}.*.*.*.{tenant_id}"


def rereader(service: str) -> str:
    """Return the name of the durable consumer by which a service handles a stretch of a stream once more."""
    return f"{service}-replay"


def inbox(service: str) -> str:
    """Return the inbox prefix with which a service connects to NATS: answers to one are not seen by another."""
    return f"_INBOX_{service}"
