"""What a service that calls URLs of users reads from its environment."""

from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path

from chassis.egress.networks import Network
from chassis.environment import setting


def _networks(text: str) -> tuple[Network, ...]:
    try:
        return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError:
        raise ValueError("must be networks such as 10.20.0.0/16, with commas between them") from None


@dataclass(frozen=True, kw_only=True)
class EgressSettings:
    """Settings of a service that calls URLs of users."""

    egress_allow: tuple[Network, ...] = setting(
        (), reader=_networks, says="Networks that URLs of users may lead to although they are none of the public internet."
    )
    egress_deny: tuple[Network, ...] = setting(
        (), reader=_networks, says="Networks of the public internet that URLs of users may not lead to; stronger than what is allowed."
    )
    egress_authorities_file: Path | None = setting(None, says="Authorities (PEM) that are believed beside the public ones.")
