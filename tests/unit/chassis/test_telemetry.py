"""Metrics, logs and probes say what they promise, and nothing that they must not."""

import asyncio
import json
import re
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import httpx
import prometheus_client
import pytest
from structlog.testing import capture_logs

from chassis.telemetry import health as health_module
from chassis.telemetry import metrics
from chassis.telemetry.health import FAILURES, Health
from chassis.telemetry.probes import Probes
from tests.unit.chassis.moving import eventually
from tests.unit.chassis.servers import free_port


def catalogue() -> list[prometheus_client.metrics.MetricWrapperBase]:
    return [each for each in vars(metrics).values() if isinstance(each, prometheus_client.metrics.MetricWrapperBase)]


def test_no_metric_has_a_tenant_label() -> None:
    labels = {label for metric in catalogue() for label in metric._labelnames}
    assert not [label for label in labels if re.search("tenant|user|email", label)]


def test_every_metric_is_explained_and_named_as_prometheus_wants_it() -> None:
    for metric in catalogue():
        assert metric._documentation.endswith(".")
        assert re.fullmatch(r"[a-z][a-z_]*", metric._name)
        if isinstance(metric, prometheus_client.Gauge):
            assert not metric._name.endswith(("_count", "_sum", "_total", "_bucket"))


def test_bound_series_are_made_once() -> None:
    assert metrics.rpc_server_call("a.B/C", "OK") is metrics.rpc_server_call("a.B/C", "OK")
    assert metrics.rpc_server_call("a.B/C", "OK")._labelvalues == ("grpc", "a.B/C", "OK", "")
    assert metrics.rpc_server_call("a.B/C", "INTERNAL")._labelvalues == ("grpc", "a.B/C", "INTERNAL", "INTERNAL")


LOGGING = """
import logging, structlog
from chassis import context
from chassis.context import Caller, CallerKind, Request
from chassis.telemetry import logs, tracing
from kith.identity.v1 import auth_pb2
logs.start(service="crm", version="1", level="INFO")
log = structlog.get_logger()
log.debug("hidden")
log.info("plain", email="ada@example.com", request=auth_pb2.SignInRequest(password="hunter2"), inner={"token": "abc", "size": 3})
context.enter(Request(request_id="r1", caller=Caller(kind=CallerKind.USER, tenant_id="t1", user_id="u1")))
with tracing.serve("a.B/C", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"):
    try:
        raise ValueError("ada@example.com")
    except ValueError:
        log.exception("broken", code="INTERNAL", duration_ms=1.5)
logging.getLogger("some.library").warning("address %s of %s", "10.0.0.1", "ada@example.com")
logging.getLogger("some.library").info("hidden")
import stamina
@stamina.retry(on=ValueError, attempts=2, wait_initial=0, wait_jitter=0)
def fail_with(text):
    raise ValueError(text)
try:
    fail_with("ada@example.com")
except ValueError:
    pass
"""


def test_logs_are_json_lines_without_values() -> None:
    done = subprocess.run([sys.executable, "-c", LOGGING], capture_output=True, text=True, check=True)
    assert "ada" not in done.stdout
    assert "hunter2" not in done.stdout
    assert done.stderr == ""
    plain, broken, library, retried = [json.loads(line) for line in done.stdout.splitlines()]
    assert plain["event"] == "plain"
    assert plain["email"] == "***"
    assert plain["request"] == "kith.identity.v1.SignInRequest"
    assert plain["inner"] == {"token": "***", "size": 3}
    assert {"time", "level", "service", "version"} <= plain.keys()
    assert broken["error_type"] == "ValueError"
    assert broken["stack"]
    assert broken["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    assert (broken["request_id"], broken["tenant_id"], broken["principal_id"]) == ("r1", "t1", "u1")
    assert library["logger"] == "some.library"
    assert library["template"] == "address %s of %s"
    assert (retried["event"], retried["callable"], retried["error_type"]) == ("retried", "__main__.fail_with", "ValueError")


class Dependency:
    broken = False

    async def __call__(self) -> None:
        if self.broken:
            raise ConnectionError("10.0.0.1 refused")


async def test_one_failure_takes_no_process_out() -> None:
    dependency = Dependency()
    health = Health({"postgresql": dependency})
    health.started = True
    assert not health.ready
    await health.check()
    assert health.ready
    dependency.broken = True
    for _ in range(FAILURES - 1):
        await health.check()
        assert health.ready
    await health.check()
    assert not health.ready
    dependency.broken = False
    await health.check()
    assert health.ready
    health.draining = True
    assert not health.ready


async def test_what_goes_down_is_told_once_and_so_is_its_return() -> None:
    dependency = Dependency()
    health = Health({"postgresql": dependency, "nats": Dependency()})
    health.started = True
    with capture_logs() as logs:
        for dependency.broken in (False, True, False):
            for _ in range(FAILURES + 1):
                await health.check()
    told = [(line["log_level"], line["ready"], line["down"]) for line in logs if line["event"] == "readiness_changed"]
    assert told == [("info", True, {}), ("warning", False, {"postgresql": "ConnectionError"}), ("info", True, {})]


async def test_a_check_that_hangs_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_module, "TIMEOUT", 0.01)
    health = Health({"nats": lambda: asyncio.sleep(60)})
    await health.check()
    assert health.dependencies["nats"].error_type == "TimeoutError"


@pytest.fixture
async def health() -> AsyncIterator[Health]:
    async with watching(hung=600) as watched:
        yield watched


@asynccontextmanager
async def watching(*, hung: float) -> AsyncIterator[Health]:
    """Watch over one dependency; a loop counts as hung after so many seconds."""
    watched = Health({"postgresql": Dependency()}, hung=hung, interval=0.05)
    task = asyncio.create_task(watched.watch())
    watched.started = True
    await eventually(lambda: watched.ready)
    yield watched
    task.cancel()


@contextmanager
def served(health: Health) -> Iterator[Probes]:
    probes = Probes(health, host="127.0.0.1", port=0)
    probes.start()
    yield probes
    probes.stop()


@pytest.fixture
def probes(health: Health) -> Iterator[Probes]:
    with served(health) as found:
        yield found


async def get(probes: Probes, path: str, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{probes.port}", timeout=60) as client:
        return await client.get(path, headers=headers)


async def test_probes_tell_the_state(probes: Probes, health: Health) -> None:
    assert (await get(probes, "/livez")).status_code == 200
    ready = await get(probes, "/readyz")
    assert ready.status_code == 200
    assert ready.json()["dependencies"] == {"postgresql": {"up": True, "error_type": ""}}
    health.draining = True
    assert (await get(probes, "/readyz")).status_code == 503
    assert (await get(probes, "/healthz")).status_code == 503
    assert (await get(probes, "/livez")).status_code == 200
    assert (await get(probes, "/else")).status_code == 404


async def test_metrics_carry_the_trace_in_openmetrics(probes: Probes) -> None:
    metrics.rpc_server_call("a.B/Exemplar", "OK").observe(0.2, {"trace_id": "abc"})
    answer = await get(probes, "/metrics", accept="application/openmetrics-text; version=1.0.0")
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert 'trace_id="abc"' in answer.text
    plain = await get(probes, "/metrics")
    assert plain.headers["content-type"].startswith("text/plain")
    assert "kith_event_loop_lag_seconds" in plain.text
    assert "_created" not in plain.text


async def test_probes_answer_while_the_event_loop_hangs() -> None:
    seen: list[int] = []
    hanging = threading.Event()
    async with watching(hung=0.6) as health:
        with served(health) as probes:

            def ask() -> None:
                hanging.wait(0.8)
                url = f"http://127.0.0.1:{probes.port}"
                seen.extend(httpx.get(f"{url}{path}", timeout=60).status_code for path in ("/livez", "/readyz", "/metrics"))
                hanging.set()

            asking = threading.Thread(target=ask)
            asking.start()
            hanging.wait()  # the whole loop stands still here
            asking.join()
    assert seen == [503, 503, 200]


async def test_every_late_heartbeat_of_the_loop_is_counted() -> None:
    before = late_heartbeats()
    async with watching(hung=600):
        threading.Event().wait(0.55)  # the whole loop stands still here, while a heartbeat of 0.25 s is due
        await eventually(lambda: late_heartbeats() > before)


def late_heartbeats() -> float:
    """Return how many came more than a quarter of a second late."""
    most = [prometheus_client.REGISTRY.get_sample_value("kith_event_loop_lag_seconds_bucket", {"le": le}) for le in ("+Inf", "0.25")]
    return (most[0] or 0) - (most[1] or 0)


async def test_stopped_probes_free_their_port(health: Health) -> None:
    first = Probes(health, host="127.0.0.1", port=free_port())
    first.start()
    first.stop()
    second = Probes(health, host="127.0.0.1", port=first.port)
    second.start()
    second.stop()
