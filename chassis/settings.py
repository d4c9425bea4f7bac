"""What processes read from their environment; `environment` reads and checks it."""

from dataclasses import dataclass
from pathlib import Path

from chassis.environment import Secret, setting


@dataclass(frozen=True, kw_only=True)
class ProcessSettings:
    """Settings of every process of the platform."""

    environment: str = setting("local", says="Name of the installation, for traces and API keys.")
    version: str = setting("0.1.0", says="Version that is run, for logs, traces and kith_build_info.")
    log_level: str = setting("INFO", pattern="DEBUG|INFO|WARNING|ERROR", says="Least level that is logged.")
    host: str = setting("127.0.0.1", says="Address that is listened on.")
    admin_port: int = setting(least=1, most=65535, says="Port of /metrics, /livez, /readyz and /healthz.")
    trace_ratio: float = setting(0.01, least=0, most=1, says="Share of traces that begin here and are sampled.")
    otel_exporter_otlp_endpoint: str = setting(
        "",
        variable="OTEL_EXPORTER_OTLP_ENDPOINT",
        pattern="(https?://.+)?",
        says="Collector for traces over HTTP; none when empty.",
    )


@dataclass(frozen=True, kw_only=True)
class ServerSettings(ProcessSettings):
    """Settings of every process that answers calls, services and edge alike."""

    port: int = setting(least=1, most=65535, says="Port of the API.")
    public_url: str = setting("http://localhost:8080", says="Where people reach the edge; the issuer of access tokens.")
    upstreams: dict[str, str] = setting(default_factory=dict, says='Addresses of services: {"identity": "127.0.0.1:7101", ...}.')
    service_key_file: Path = setting(says="Private key (JWK) that this process signs its service tokens with.")
    service_keys_file: Path = setting(says="Public keys (JWKS) that service tokens are checked against.")
    drain_seconds: float = setting(0, least=0, says="Time between NOT_SERVING and the closed port, for load balancers to notice.")
    grace_seconds: float = setting(20, least=0, says="Time that calls in flight have to end after the port closed.")


@dataclass(frozen=True, kw_only=True)
class ServiceSettings(ServerSettings):
    """Settings of every service."""

    database_dsn: Secret = setting(says="PostgreSQL, as the service's runtime role.")
    system_dsn: Secret = setting(says="PostgreSQL, as the service's system role: relay and purge.")
    database_pool: int = setting(8, least=1, most=100, says="Connections for transactions at the most; two more are shared by reads.")
    nats_url: Secret = setting(says="NATS, with this service's user and password.")
    page_key_file: Path = setting(says="Key (base64) that page tokens are signed with.")
    master_key_file: Path = setting(says="Master key (base64) that secrets at rest are sealed under.")
    carrier_port: int = setting(0, least=0, most=65535, says="Port at which the edge's lanes begin; any free one when 0.")
    concurrent_calls: int = setting(500, least=1, says="Calls in flight at the most; more are refused with RESOURCE_EXHAUSTED.")
    default_deadline: float = setting(10, above=0, says="Seconds that a call may take when neither caller nor contract says less.")
