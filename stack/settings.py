"""What the `kith` command reads from the environment; everything has a default that works on a laptop."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from stack.topology import CANARY, EDGE, NATS, POSTGRES, SERVICES, Service, admin, copies, default_ports

MOST_COPIES: Final = 16


class SettingsError(Exception):
    """A setting cannot be used; the text names it and says the fix."""


class Settings(BaseSettings):
    """Settings of the stack, prefix `KITH_`; a port is set as `KITH_PORTS__EDGE=9000`, and 0 means any free one."""

    model_config = SettingsConfigDict(env_prefix="KITH_", env_nested_delimiter="__", extra="ignore")

    data: Path = Path("~/.local/state/kith")
    """Folder of keys, passwords, databases, streams and logs."""
    host: str = "127.0.0.1"
    """Address that the edge and the services listen on."""
    public_url: str = ""
    """Address by which people reach the edge; `http://localhost:<port of the edge>` when empty."""
    ports: dict[str, int] = Field(default_factory=dict)
    """Ports that differ from the default, by process name."""
    processes: dict[str, int] = Field(default_factory=dict)
    """How many processes share the work of the edge or a service, by its name (`KITH_PROCESSES__CRM=2`); one where nothing is said."""
    database_url: SecretStr | None = None
    """Administrator's DSN of a PostgreSQL 18 to use instead of the embedded one."""
    nats_url: SecretStr | None = None
    """URL of a NATS server with JetStream to use instead of the embedded one; its users are the operator's affair."""
    postgres: dict[str, str] = Field(default_factory=dict)
    """Server settings of the embedded PostgreSQL that differ from ours."""
    nats_sync_interval: str = "10s"
    """How often JetStream forces its files to disk: a duration, or `always`."""
    canary: bool = True
    """Whether the isolation canary runs beside."""
    ready_timeout: float = Field(default=60.0, gt=0)
    """Seconds that a process has to become ready."""
    stop_timeout: float = Field(default=30.0, gt=0)
    """Seconds that a process has to finish its work before it is ended."""

    @field_validator("data")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        return path.expanduser().absolute()

    @field_validator("ports")
    @classmethod
    def _known_ports(cls, ports: dict[str, int]) -> dict[str, int]:
        known = default_ports()
        for name, port in ports.items():
            if name not in known:
                raise ValueError(f"there is no port called {name!r}; there are {', '.join(sorted(known))}")
            if not 0 <= port <= 65_535:
                raise ValueError(f"port {name} is {port}; a port is 0 (any free one) to 65535")
        return ports

    @field_validator("processes")
    @classmethod
    def _known_processes(cls, processes: dict[str, int]) -> dict[str, int]:
        known = {service.name for service in (EDGE, *SERVICES)}
        for name, count in processes.items():
            if name not in known:
                raise ValueError(f"there is no process called {name!r}; there are {', '.join(sorted(known))}")
            if not 1 <= count <= MOST_COPIES:
                raise ValueError(f"{name} is {count}; a process runs 1 to {MOST_COPIES} times")
        return processes

    @classmethod
    def load(cls, data: Path | None = None) -> Self:
        """Read the environment; `data` stands above it. Raises SettingsError."""
        try:
            return cls() if data is None else cls(data=data)
        except ValidationError as error:
            raise SettingsError("; ".join(_explain(dict(detail)) for detail in error.errors())) from None

    def wanted_ports(self) -> dict[str, int]:
        """Return every port that is listened on, by name: the default, or what the environment says."""
        absent = {POSTGRES: self.database_url, NATS: self.nats_url, admin(CANARY.name): not self.canary}
        wanted = {**default_ports(), **dict.fromkeys(self._ports_of_copies(), 0), **self.ports}
        return {name: port for name, port in wanted.items() if not absent.get(name)}

    def copies(self, service: Service) -> tuple[str, ...]:
        """Return the names of the processes that share the work of the edge or a service."""
        return copies(service.name, self.processes.get(service.name, 1))

    def _ports_of_copies(self) -> Iterator[str]:
        """Yield the ports of further processes. Those of the edge share its port."""
        for service in (EDGE, *SERVICES):
            for name in self.copies(service)[1:]:
                yield admin(name)
                if service is not EDGE:
                    yield name


def _explain(detail: dict[str, object]) -> str:
    location = detail["loc"]
    name = "__".join(str(part) for part in location) if isinstance(location, tuple) else str(location)
    return f"KITH_{name.upper()}: {detail['msg']}"
