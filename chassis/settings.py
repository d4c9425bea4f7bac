"""What a process reads from its environment: typed, checked at the start, each name with the fix in its error."""

import sys
from pathlib import Path
from typing import TypeVar

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

S = TypeVar("S", bound=BaseSettings)


class ProcessSettings(BaseSettings):
    """Settings of every process of the platform."""

    model_config = SettingsConfigDict(env_prefix="KITH_", extra="ignore", frozen=True)

    environment: str = Field("local", description="Name of the installation, for traces and API keys.")
    version: str = Field("0.1.0", description="Version that is run, for logs, traces and kith_build_info.")
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Least level that is logged.")
    host: str = Field("127.0.0.1", description="Address that is listened on.")
    admin_port: int = Field(ge=1, le=65535, description="Port of /metrics, /livez, /readyz and /healthz.")
    trace_ratio: float = Field(0.01, ge=0, le=1, description="Share of traces that begin here and are sampled.")
    otel_exporter_otlp_endpoint: str = Field(
        "", validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT", description="Collector for traces over HTTP; none when empty."
    )


class ServerSettings(ProcessSettings):
    """Settings of every process that answers calls, services and edge alike."""

    port: int = Field(ge=1, le=65535, description="Port of the API.")
    public_url: str = Field("http://localhost:8080", description="Where people reach the edge; the issuer of access tokens.")
    upstreams: dict[str, str] = Field(default_factory=dict, description='Addresses of services: {"identity": "127.0.0.1:7101", ...}.')
    service_key_file: Path = Field(description="Private key (JWK) that this process signs its service tokens with.")
    service_keys_file: Path = Field(description="Public keys (JWKS) that service tokens are checked against.")
    drain_seconds: float = Field(0, ge=0, description="Time between NOT_SERVING and the closed port, for load balancers to notice.")
    grace_seconds: float = Field(20, ge=0, description="Time that calls in flight have to end after the port closed.")


class ServiceSettings(ServerSettings):
    """Settings of every service."""

    database_dsn: SecretStr = Field(description="PostgreSQL, as the service's runtime role.")
    system_dsn: SecretStr = Field(description="PostgreSQL, as the service's system role: relay and purge.")
    database_pool: int = Field(8, ge=1, le=100, description="Connections for transactions at the most; two more are shared by reads.")
    nats_url: SecretStr = Field(description="NATS, with this service's user and password.")
    page_key_file: Path = Field(description="Key (base64) that page tokens are signed with.")
    master_key_file: Path = Field(description="Master key (base64) that secrets at rest are sealed under.")
    carrier_port: int = Field(0, ge=0, le=65535, description="Port at which the edge's lanes begin; any free one when 0.")
    concurrent_calls: int = Field(500, ge=1, description="Calls in flight at the most; more are refused with RESOURCE_EXHAUSTED.")
    default_deadline: float = Field(10, gt=0, description="Seconds that a call may take when neither caller nor contract says less.")


def load(kind: type[S]) -> S:
    """Return the settings of this process; stop it with one line for each wrong one."""
    try:
        return kind()
    except ValidationError as error:
        for each in error.errors(include_url=False, include_input=False):
            name = "_".join(str(part) for part in each["loc"])
            variable = name if name.isupper() else f"KITH_{name.upper()}"
            field = kind.model_fields.get(name)
            meaning = field.description if field else ""
            print(f"{variable}: {each['msg']}. {meaning}", file=sys.stderr)  # noqa: T201 - there is no log yet
        raise SystemExit(2) from None
