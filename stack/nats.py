"""The embedded NATS server with JetStream: its configuration, and one user per service."""

import json
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from stack.layout import Layout, write_private
from stack.processes.probes import jetstream_ready
from stack.processes.supervisor import Command
from stack.settings import Settings
from stack.topology import EDGE, NATS, OPERATOR, ROOT, SERVICES

SERVER: Final = "kith"


class Broker:
    """The embedded server's files and how it is run on them."""

    def __init__(self, layout: Layout, settings: Settings, *, port: int, passwords: Mapping[str, str]) -> None:
        self._layout = layout
        self._settings = settings
        self._port = port
        self._passwords = passwords

    def url(self, user: str) -> str:
        """Return the address with the user's password in it."""
        return f"nats://{user}:{self._passwords[user]}@127.0.0.1:{self._port}"

    def command(self) -> Command:
        """Return how the server is run."""
        config = self._layout.nats / "nats.conf"
        write_private(config, json.dumps(self._config(), indent=2))
        return Command(
            name=NATS,
            argv=[str(Path(sys.executable).parent / "nats-server"), "--config", str(config)],
            env={},
            cwd=ROOT,
            log=self._layout.log(NATS),
            address=f"127.0.0.1:{self._port}",
            probe=jetstream_ready(f"127.0.0.1:{self._port}"),
            death_signal=signal.SIGTERM,
            ready_timeout=self._settings.ready_timeout,
            stop_timeout=self._settings.stop_timeout,
        )

    def _config(self) -> dict[str, object]:
        """Return the configuration; the server's own format is a superset of JSON."""
        from stack.permissions import permissions  # noqa: PLC0415 - protobuf's imports are paid while the other processes start

        users = [{"user": OPERATOR, "password": self._passwords[OPERATOR]}]
        services = [
            {"user": each.name, "password": self._passwords[each.name], "permissions": permissions(each)} for each in (EDGE, *SERVICES)
        ]
        return {
            "server_name": SERVER,
            "host": "127.0.0.1",
            "port": self._port,
            "jetstream": {"store_dir": str(self._layout.nats), "sync_interval": self._settings.nats_sync_interval},
            "authorization": {"users": [*users, *services]},
        }
