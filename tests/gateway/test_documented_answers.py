"""Whatever the document allows, and whatever it does not, gets a documented answer: no 5xx, no status, type or shape of its own."""

import contextlib
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from chassis import contract as contracts
from gateway.contract import Contract
from gateway.openapi import document
from stack.topology import EDGE
from stack.wiring import Wiring
from tests.conftest import Person, Register

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance, response_headers_conformance]
OPERATIONS = [
    pytest.param(verb, path, id=f"{verb} {path}")
    for path, item in document(Contract(contracts.image()), "http://kith.test")["paths"].items()
    for verb in item
    if not path.endswith(":signOut")
]


@pytest.fixture(scope="module")
async def owner(register: Register) -> Person:
    return await register()


@pytest.fixture(scope="module")
async def described(edge: httpx.AsyncClient) -> Any:
    return schemathesis.openapi.from_dict((await edge.get("/openapi.json")).json())


@pytest.mark.parametrize("mode", list(GenerationMode), ids=str)
@pytest.mark.parametrize(("verb", "path"), OPERATIONS)
def test_every_answer_is_documented(described: Any, platform: Wiring, owner: Person, verb: str, path: str, mode: GenerationMode) -> None:
    address = f"http://{platform.address(EDGE.name)}"

    @settings(
        max_examples=10,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=described[path][verb].as_strategy(generation_mode=mode))
    def answers(case: schemathesis.Case) -> None:
        case.call_and_validate(base_url=address, headers=owner.headers, checks=CHECKS, timeout=30)

    with contextlib.suppress(Unsatisfiable):  # a call that takes nothing has no wrong arguments
        answers()
