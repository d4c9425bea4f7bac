"""The embedded NATS server with JetStream: its configuration, and one user per service."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import nats
from nats.aio.client import Client
from nats.errors import Error as NatsError

from chassis import names
from kith.identity.v1 import events_pb2
from kith.options.v1 import options_pb2
from stack.layout import Layout, write_private
from stack.processes.supervisor import Command, Probe
from stack.settings import Settings
from stack.topology import EDGE, NATS, OPERATOR, ROOT, SERVICES, Service

PREFIX: Final = "kith"


def permissions(service: Service) -> dict[str, dict[str, list[str]]]:
    """Return the subjects that a service may publish on and subscribe to: its own events, and what it consumes."""
    own = [] if service is EDGE else [names.subjects(service.name), f"$JS.API.STREAM.INFO.{names.stream(service.name)}"]
    consumed = [subject for source in service.consumes for subject in _durable(names.stream(source), service.name)]
    ended = f"{session_ended()}.>"
    return {
        "publish": {"allow": ["$JS.API.INFO", *own, *consumed, f"$JS.API.CONSUMER.CREATE.{names.stream('identity')}.*.{PREFIX}.{ended}"]},
        "subscribe": {"allow": [f"{names.inbox(service.name)}.>", f"{PREFIX}.{ended}"]},
    }


def _durable(source: str, name: str) -> list[str]:
    """Return what a durable pull consumer of this name on the stream needs: make, look at, pull from, acknowledge."""
    api = "$JS.API"
    return [
        f"{api}.STREAM.INFO.{source}",
        f"{api}.CONSUMER.CREATE.{source}.{name}",
        f"{api}.CONSUMER.CREATE.{source}.{name}.>",
        f"{api}.CONSUMER.DURABLE.CREATE.{source}.{name}",
        f"{api}.CONSUMER.INFO.{source}.{name}",
        f"{api}.CONSUMER.MSG.NEXT.{source}.{name}",
        f"$JS.ACK.{source}.{name}.>",
    ]


def session_ended() -> str:
    """Return the subject of the event that every process must hear, as the contract names it."""
    return str(events_pb2.SessionEnded.DESCRIPTOR.GetOptions().Extensions[options_pb2.event].subject)


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
            probe=jetstream_ready(self.url(OPERATOR)),
            ready_timeout=self._settings.ready_timeout,
            stop_timeout=self._settings.stop_timeout,
        )

    def _config(self) -> dict[str, object]:
        """Return the configuration; the server's own format is a superset of JSON."""
        users = [{"user": OPERATOR, "password": self._passwords[OPERATOR]}]
        services = [
            {"user": each.name, "password": self._passwords[each.name], "permissions": permissions(each)} for each in (EDGE, *SERVICES)
        ]
        return {
            "server_name": PREFIX,
            "host": "127.0.0.1",
            "port": self._port,
            "jetstream": {"store_dir": str(self._layout.nats), "sync_interval": self._settings.nats_sync_interval},
            "authorization": {"users": [*users, *services]},
        }


def jetstream_ready(url: str) -> Probe:
    """Ready when JetStream answers."""

    async def probe() -> bool:
        try:
            connection = await connect(url)
        except (OSError, NatsError):
            return False
        async with connection:
            await connection.jetstream().account_info()
        return True

    return probe


async def connect(url: str, user: str = OPERATOR) -> Client:
    """Return a connection that tries once; raise OSError or nats.errors.Error."""
    return await nats.connect(
        url, inbox_prefix=names.inbox(user), allow_reconnect=False, reconnect_time_wait=0, connect_timeout=2, error_cb=_silent
    )


async def _silent(_: Exception) -> None:
    """Say nothing: whoever connects hears of a failure by its exception."""
