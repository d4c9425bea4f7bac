"""The isolation canary on real platforms: it finds nothing on a sound one, and tells of one whose database lets everybody see a table."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from stack.canary.requests import reads, rpc
from stack.contract_check.image import Image
from stack.generate import CONTRACT, ROOT
from stack.topology import CANARY, admin
from tests import patience, running
from tests.chaos.shaken import Shaken
from tests.platform.conftest import Metrics
from tests.unit.chassis.moving import eventually

METHODS = {rpc(method) for method in reads(Image.read(ROOT / "gen" / CONTRACT))}
SHOWN = {"kith.crm.v1.CompanyService/GetCompany", "kith.crm.v1.CompanyService/ListCompanies"}
PAUSE = 0.2


async def counted(metrics: Metrics, name: str) -> dict[str, float]:
    """Return a counter of the canary by RPC."""
    families = text_string_to_metric_families(await metrics())
    samples = (sample for family in families for sample in family.samples if sample.name == f"kith_isolation_{name}_total")
    return {sample.labels["rpc_method"]: sample.value for sample in samples}


async def test_a_sound_platform_gives_nothing_away(canary: Metrics) -> None:
    async def asked() -> bool:
        return all((await counted(canary, "probes")).values())

    await eventually(asked, seconds=180, pause=PAUSE)
    assert (await counted(canary, "probes")).keys() == METHODS
    assert await counted(canary, "breaches") == dict.fromkeys(METHODS, 0.0)
    assert (await counted(canary, "probe_failures")).keys() == METHODS


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Shaken]:
    """A platform of this test's own, with its canary."""
    platform = Shaken(tmp_path)
    platform.up(**running.PATIENT, KITH_CANARY="true", KITH_CANARY_ROUND_SECONDS="1")
    yield platform
    platform.down()


@pytest.mark.full
async def test_a_table_that_everybody_sees_is_told_of(watched: Shaken) -> None:
    await eventually(lambda: watched.state.processes[CANARY.name].phase == "ready", seconds=180, pause=PAUSE)
    address = watched.wiring.address(admin(CANARY.name))

    async def metrics() -> str:
        async with httpx.AsyncClient(timeout=patience.SECONDS) as client:
            return (await client.get(f"http://{address}/metrics")).text

    async def told() -> bool:
        breaches = await counted(metrics, "breaches")
        return {method for method, count in breaches.items() if count} >= SHOWN

    await eventually(lambda: _has_companies(watched), seconds=180, pause=PAUSE)
    with psycopg.connect(watched.database("crm")) as connection:
        connection.execute("ALTER TABLE companies DISABLE ROW LEVEL SECURITY")
    await eventually(told, seconds=180, pause=PAUSE)
    log = watched.wiring.layout.log(CANARY.name).read_text()
    assert '"event":"isolation_breach"' in log
    assert "bait" not in log


def _has_companies(platform: Shaken) -> bool:
    with psycopg.connect(platform.database("crm")) as connection:
        return bool(connection.execute("SELECT FROM companies").fetchall())
