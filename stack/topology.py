"""Which processes make up the platform, on which ports they stand by default, and whose events each of them reads."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, kw_only=True)
class Process:
    """One process of ours: its module is run with `python -m`."""

    name: str
    module: str
    admin_port: int


@dataclass(frozen=True, kw_only=True)
class Service(Process):
    """One that answers calls."""

    port: int
    consumes: tuple[str, ...] = ()
    mails: bool = False
    malloc: str = ""
    """What the C library is told about memory (GLIBC_TUNABLES)."""


HASHES: Final = "glibc.malloc.mmap_threshold=4194304:glibc.malloc.hugetlb=1"
"""For who hashes passwords: 19 MiB for each, which malloc would keep once it had them. They go back after the hash, and come as huge
pages, which makes a hash no dearer (small ones cost half a hash more).
"""

SERVICES: Final = (
    Service(name="identity", module="services.identity.main", port=7101, admin_port=7201, mails=True, malloc=HASHES),
    Service(name="crm", module="services.crm.main", port=7102, admin_port=7202, consumes=("identity",)),
    Service(name="calendar", module="services.calendar.main", port=7103, admin_port=7203),
    Service(name="billing", module="services.billing.main", port=7104, admin_port=7204),
    Service(name="ai", module="services.ai.main", port=7105, admin_port=7205),
)
EDGE: Final = Service(name="edge", module="gateway.main", port=8080, admin_port=7200)
CANARY: Final = Process(name="canary", module="stack.canary", admin_port=7206)

POSTGRES: Final = "postgres"
NATS: Final = "nats"
OPERATOR: Final = "stack"
"""Name under which the operator's tools call services and connect to NATS."""


def copies(name: str, count: int) -> tuple[str, ...]:
    """Return the names of the processes that do the same work: `crm`, `crm-2`, `crm-3`."""
    return name, *(f"{name}-{number}" for number in range(2, count + 1))


def default_ports() -> Mapping[str, int]:
    """Return every port by its name; the admin port of a process is called `<process>_admin`."""
    ports = {POSTGRES: 7432, NATS: 7422, admin(CANARY.name): CANARY.admin_port}
    for service in (EDGE, *SERVICES):
        ports[service.name] = service.port
        ports[admin(service.name)] = service.admin_port
    return ports


def admin(name: str) -> str:
    """Return the name of a process's admin port."""
    return f"{name}_admin"
