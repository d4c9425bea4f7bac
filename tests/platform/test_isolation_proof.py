"""What a solver proves of the policies: no session of one tenant reads or writes another's row, and none without a tenant reads any."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from psycopg.conninfo import conninfo_to_dict

from stack.topology import SERVICES
from stack.wiring import Wiring
from tests.conftest import AdminDsn

TOOL = str(Path(sys.executable).with_name("pgrls"))
MODES = ["anon", "cross-tenant", "write"]

# The relay, the purge, the sealer and operators read these for all tenants, by a policy for the system role alone; the attacks try the
# runtime role on them.
OF_THE_SYSTEM = {"public.audit_batches", "public.audit_log", "public.dead_letters", "public.idempotency", "public.outbox"}


async def verify(url: str, mode: str) -> list[dict[str, Any]]:
    process = await asyncio.create_subprocess_exec(
        TOOL,
        "verify",
        f"--mode={mode}",
        "--format=json",
        f"--database-url={url}",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complained = await process.communicate()
    assert process.returncode == 0, said.decode() + complained.decode()
    tables: list[dict[str, Any]] = json.loads(said)["tables"]
    return tables


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("service", [service.name for service in SERVICES])
async def test_the_policies_are_proven(admin_dsn: AdminDsn, platform: Wiring, service: str, mode: str) -> None:
    address = conninfo_to_dict(admin_dsn(service))
    login = f"{address['user']}:{quote(str(address['password']))}"
    tables = await verify(f"postgresql://{login}@{platform.address('postgres')}/{address['dbname']}", mode)
    unproven = {each["table"] for each in tables if each["verdict"] != "isolated"}
    assert {each["table"] for each in tables} >= OF_THE_SYSTEM
    assert unproven <= {*OF_THE_SYSTEM, "public.audit_seals"}
