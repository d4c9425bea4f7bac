"""What a process has loaded when it starts: each library costs its seconds and megabytes in every process that has it."""

import importlib
import json
import subprocess
import sys

import pytest

from chassis.loading import absent
from stack.topology import EDGE, ROOT, SERVICES

EVERYWHERE = {
    "aiosmtplib",
    "alembic",
    "charset_normalizer",
    "greenlet",
    "httpx",
    "opentelemetry.sdk",
    "pydantic",
    "rich",
    "sqlalchemy.orm",
    "typer",
}
NOT_AT_THE_EDGE = {"lark", "phonenumbers", "procrastinate", "psycopg", "sqlalchemy"}


@pytest.mark.parametrize("process", [*SERVICES, EDGE], ids=lambda process: process.name)
def test_a_process_loads_nothing_that_it_does_not_need(process):
    unwanted = EVERYWHERE | (NOT_AT_THE_EDGE if process is EDGE else set())

    assert not loaded(process.module) & unwanted


def loaded(module: str) -> set[str]:
    script = f"import json, sys, {module}; json.dump(list(sys.modules), sys.stdout)"
    ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, check=True)
    return set(json.loads(ran.stdout))


def test_what_is_absent_cannot_be_imported_inside_the_block_alone():
    sys.modules.pop("this", None)

    with absent("this"), pytest.raises(ImportError):
        importlib.import_module("this")

    assert "this" not in sys.modules


def test_what_is_loaded_already_stays():
    with absent("json"):
        assert sys.modules["json"] is json
    assert sys.modules["json"] is json
