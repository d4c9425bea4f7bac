"""Who reaches whom: addresses, connection strings and the environment of each process, from settings, secrets and ports."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from psycopg.conninfo import make_conninfo

from chassis import names
from stack import secrets
from stack.layout import Layout
from stack.nats import Broker
from stack.postgres import SUPERUSER, Cluster
from stack.secrets import Secrets
from stack.settings import Settings
from stack.state import State
from stack.topology import CANARY, EDGE, NATS, OPERATOR, POSTGRES, SERVICES, Service, admin

LOOPBACK: Final = "127.0.0.1"
DEMO: Final = "demo"
MAIL: Final = "KITH_MAIL_"
CANARIES: Final = ("canary_keeper", "canary_prober")


def provide_secrets(folder: Path) -> Secrets:
    """Return the secrets of an installation; what is missing is made."""
    callers = [service.name for service in (EDGE, *SERVICES)] + [OPERATOR]
    roles = [names.role(service.name, role) for service in SERVICES for role in names.SIGNING_IN]
    return secrets.provide(folder, services=callers, passwords=[SUPERUSER, DEMO, *CANARIES, *callers, *roles])


@dataclass(frozen=True)
class Wiring:
    """One installation's addresses and credentials."""

    settings: Settings
    layout: Layout
    secrets: Secrets
    ports: Mapping[str, int]

    @classmethod
    def of(cls, settings: Settings, state: State) -> Self:
        """Return the wiring of a platform that runs already."""
        layout = Layout(settings.data)
        return cls(settings, layout, provide_secrets(layout.secrets), state.ports)

    @property
    def public_url(self) -> str:
        """Address by which people reach the edge."""
        return self.settings.public_url or f"http://localhost:{self.ports[EDGE.name]}"

    def address(self, name: str) -> str:
        """Return where a process is reached from this machine."""
        host = self.settings.host
        return f"{LOOPBACK if host in ('0.0.0.0', '::') else host}:{self.ports[name]}"  # noqa: S104 - compared, not bound

    @property
    def cluster(self) -> Cluster:
        """The embedded PostgreSQL."""
        return Cluster(self.layout, self.settings, port=self.ports[POSTGRES], password=self.secrets.passwords[SUPERUSER])

    @property
    def broker(self) -> Broker:
        """The embedded NATS."""
        return Broker(self.layout, self.settings, port=self.ports[NATS], passwords=self.secrets.passwords)

    def admin_dsn(self) -> str:
        """Return the administrator's connection string; no service gets it."""
        given = self.settings.database_url
        return given.get_secret_value() if given else self.cluster.admin_dsn()

    def dsn(self, service: str, role: str) -> str:
        """Return the connection string of a role in a service's database."""
        user = names.role(service, role)
        return make_conninfo(self.admin_dsn(), user=user, password=self.secrets.passwords[user], dbname=names.database(service))

    def nats_url(self, user: str) -> str:
        """Return the address of NATS with a user's password in it."""
        given = self.settings.nats_url
        return given.get_secret_value() if given else self.broker.url(user)

    def target(self, service: Service) -> str:
        """Return where gRPC finds the processes of a service, in the form that it knows for several."""
        addresses = [self.address(name) for name in self.settings.copies(service)]
        return addresses[0] if len(addresses) == 1 else f"ipv4:{','.join(addresses)}"

    def environment(self, service: Service, name: str = "") -> dict[str, str]:
        """Return the environment of a process: the caller's without the administrator's secrets, and what it needs of ours.

        `name` is that of one of several processes of the service.
        """
        name = name or service.name
        said = {
            "KITH_HOST": self.settings.host,
            "KITH_PORT": str(self.ports[service.name if service is EDGE else name]),
            "KITH_ADMIN_PORT": str(self.ports[admin(name)]),
            "KITH_PUBLIC_URL": self.public_url,
            "KITH_UPSTREAMS": json.dumps({each.name: self.target(each) for each in SERVICES}),
            "KITH_NATS_URL": self.nats_url(service.name),
            "KITH_SERVICE_KEY_FILE": str(self.secrets.service_key(service.name)),
            "KITH_SERVICE_KEYS_FILE": str(self.secrets.service_keys),
        }
        own = self._of_edge() if service is EDGE else self._of_database(service.name)
        malloc = {"GLIBC_TUNABLES": service.malloc} if service.malloc else {}  # what the caller says stands above
        return {**malloc, **_inherited(), **said, **own, **(self._of_mail() if service.mails else {})}

    def canary_environment(self) -> dict[str, str]:
        """Return the environment of the canary, which has what a client has and no key."""
        said = {
            "KITH_HOST": self.settings.host,
            "KITH_ADMIN_PORT": str(self.ports[admin(CANARY.name)]),
            "KITH_CANARY_EDGE": f"http://{self.address(EDGE.name)}",
        }
        passwords = {f"KITH_{name.upper()}_PASSWORD": self.secrets.passwords[name] for name in CANARIES}
        return {**_inherited(), **said, **passwords}

    def _of_edge(self) -> dict[str, str]:
        """Return what the edge alone needs: that it is not by itself on its port."""
        return {"KITH_SHARE_PORT": "true"} if len(self.settings.copies(EDGE)) > 1 else {}

    def _of_database(self, service: str) -> dict[str, str]:
        return {
            "KITH_DATABASE_DSN": self.dsn(service, "runtime"),
            "KITH_SYSTEM_DSN": self.dsn(service, "system"),
            "KITH_MASTER_KEY_FILE": str(self.secrets.master_key),
            "KITH_PAGE_KEY_FILE": str(self.secrets.page_key),
        }

    def _of_mail(self) -> dict[str, str]:
        """Return what those who send mail need: the caller's mail server, and the folder that stands for one."""
        given = {name: value for name, value in os.environ.items() if name.startswith(MAIL)}
        return {**given, "KITH_MAIL_FOLDER": str(self.layout.mail)}


def _inherited() -> dict[str, str]:
    """Return the caller's environment without the stack's own settings, the administrator's URLs among them, and the mail server's."""
    own = tuple(f"KITH_{name.upper()}" for name in Settings.model_fields)
    left_out = (MAIL, *(f"{each}__" for each in own))
    return {name: value for name, value in os.environ.items() if name not in own and not name.startswith(left_out)}
