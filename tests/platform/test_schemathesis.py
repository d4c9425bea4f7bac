"""Requests that schemathesis makes up from the OpenAPI document, sent by a signed-in owner: every answer is one that the document knows."""

import asyncio
import sys
from pathlib import Path

import pytest

from tests.platform.signed_in import SignedIn

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance"
PHASES = "coverage,fuzzing"
# Ids that are there: made-up ones would seldom come further than "not found".
KNOWN = """
[[operations]]
include-path-regex = "^/v1/contacts/"
parameters = {{ "path.id" = "{contact}" }}

[[operations]]
include-path-regex = "^/v1/companies/"
parameters = {{ "path.id" = "{company}" }}
"""
TOOL = str(Path(sys.executable).with_name("st"))


async def explore(owner: SignedIn, examples: int, folder: Path) -> tuple[int, str]:
    """Let schemathesis run in a folder of its own; return its verdict and what it said."""
    url = f"{owner.edge.base_url}/openapi.json"
    contact = await owner.post("/v1/contacts", {"givenName": "Explored"})
    company = await owner.post("/v1/companies", {"name": "Explored"})
    (folder / "schemathesis.toml").write_text(KNOWN.format(contact=contact["id"], company=company["id"]))
    options = [f"--max-examples={examples}", f"--checks={CHECKS}", f"--phases={PHASES}", "--continue-on-failure", "--no-color"]
    # The same requests each time: a failure is found again, and a change is what made it.
    options += [
        "--generation-deterministic",
        f"--header=Authorization: {owner.person.headers['authorization']}",
        "--exclude-path=/v1/events:stream",  # has no end; tests/gateway/test_live_*.py ask it
    ]
    process = await asyncio.create_subprocess_exec(
        TOOL, "run", url, *options, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


async def test_no_answer_is_undocumented(owner: SignedIn, tmp_path: Path) -> None:
    verdict, said = await explore(owner, 10, tmp_path)
    assert verdict == 0, said


@pytest.mark.full
async def test_no_answer_is_undocumented_however_long_one_tries(owner: SignedIn, tmp_path: Path) -> None:
    verdict, said = await explore(owner, 200, tmp_path)
    assert verdict == 0, said
