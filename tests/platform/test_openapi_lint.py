"""The OpenAPI document as a public linter reads it."""

import asyncio
from pathlib import Path

import httpx
import pytest

REDOCLY = "@redocly/cli@2.77.0"


@pytest.mark.system  # npx
async def test_the_openapi_document_has_no_error(edge: httpx.AsyncClient, tmp_path: Path) -> None:
    document = tmp_path / "openapi.json"
    document.write_bytes((await edge.get("/openapi.json")).content)
    (tmp_path / "redocly.yaml").write_text("extends: [recommended]\ntelemetry: off\n")
    lint = await asyncio.create_subprocess_exec(
        "npx", "--yes", REDOCLY, "lint", document.name, cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await lint.communicate()
    assert lint.returncode == 0, said.decode()
