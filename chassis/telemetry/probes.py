"""The admin port: metrics and probes over HTTP in a thread of their own, so that they answer even when the event loop hangs."""

import threading
from collections.abc import Callable, Iterable
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, make_server

import orjson
import structlog
from prometheus_client.exposition import ThreadingWSGIServer, make_wsgi_app

from chassis.telemetry.health import Health

SECONDS: Final = 5  # that a client may take to send its request

log = structlog.get_logger()

StartResponse = Callable[[str, list[tuple[str, str]]], object]
Environment = dict[str, Any]


class _Handler(WSGIRequestHandler):
    timeout = SECONDS

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Stay silent: probes come every few seconds."""


class Probes:
    """Serves /metrics, /livez, /readyz and /healthz of one process."""

    def __init__(self, health: Health, *, host: str, port: int) -> None:
        self._health = health
        self._metrics = make_wsgi_app()
        self._answers = {"/livez": self._live, "/readyz": self._ready, "/healthz": self._whole}
        self._server = make_server(host, port, self._answer, ThreadingWSGIServer, handler_class=_Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="probes", daemon=True)

    @property
    def port(self) -> int:
        """Return the port that is served, which is a free one if 0 was asked for."""
        return self._server.server_port

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Stop answering and free the port. Blocks for up to half a second."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, environment: Environment, start_response: StartResponse) -> Iterable[bytes]:
        path = environment["PATH_INFO"]
        if path == "/metrics":
            return self._metrics(environment, start_response)  # type: ignore[no-any-return]
        answer = self._answers.get(path)
        if answer is None:
            return _json(start_response, "404 Not Found", {"paths": ["/metrics", *self._answers]})
        good, body = answer()
        return _json(start_response, "200 OK" if good else "503 Service Unavailable", body)

    def _live(self) -> tuple[bool, dict[str, object]]:
        return self._health.alive, {"alive": self._health.alive}

    def _ready(self) -> tuple[bool, dict[str, object]]:
        health = self._health
        dependencies = {name: {"up": each.up, "error_type": each.error_type} for name, each in health.dependencies.items()}
        ready = health.ready
        return ready, {"ready": ready, "started": health.started, "draining": health.draining, "dependencies": dependencies}

    def _whole(self) -> tuple[bool, dict[str, object]]:
        ready, body = self._ready()
        return ready, {**body, "alive": self._health.alive}


def _json(start_response: StartResponse, status: str, body: dict[str, object]) -> Iterable[bytes]:
    raw = orjson.dumps(body)
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(raw))), ("Cache-Control", "no-store")])
    return [raw]
