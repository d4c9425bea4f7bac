"""How long a server keeps connections: a call ends in its own time, not in that of the connection it came on."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from grpc import aio

from chassis import contract, server
from chassis.contract import Method
from chassis.interceptors.chain import Chain, Handler
from kith.crm.v1.imports_pb2 import Import, UploadImportRequest
from kith.crm.v1.imports_pb2_grpc import ImportServiceServicer, ImportServiceStub
from tests.unit.chassis.servers import free_port

SERVICE = "kith.crm.v1.ImportService"


class Slow(ImportServiceServicer):
    """Takes uploads, however long they last."""

    async def UploadImport(self, request_iterator: AsyncIterator[UploadImportRequest], context: Any) -> Import:
        return Import(size=len([piece async for piece in request_iterator]))


class Through(Chain):
    """Stands for the chain; has no stages."""

    def __init__(self) -> None:
        self.served = {}

    def wrap(self, method: Method, handler: Handler) -> Handler:
        return handler


def test_no_connection_goes_before_the_longest_call_on_it() -> None:
    methods = list(contract.methods(SERVICE))
    longest = max(method.deadline or 0 for method in methods)
    assert longest > server.CONNECTION_GRACE_SECONDS
    assert dict(server.options(methods))["grpc.max_connection_age_grace_ms"] == longest * 1000
    assert dict(server.options([]))["grpc.max_connection_age_grace_ms"] == server.CONNECTION_GRACE_SECONDS * 1000


async def test_an_upload_outlives_the_age_of_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "CONNECTION_AGE_MS", 200)
    monkeypatch.setattr(server, "CONNECTION_GRACE_SECONDS", 0.1)
    address = f"127.0.0.1:{free_port()}"

    async def pieces() -> AsyncIterator[UploadImportRequest]:
        for _ in range(6):
            yield UploadImportRequest()
            await asyncio.sleep(0.2)

    async with server.Server([Slow()], Through(), address=address, concurrent_calls=10, grace=0), aio.insecure_channel(address) as channel:
        assert (await ImportServiceStub(channel).UploadImport(pieces(), timeout=60)).size == 6
