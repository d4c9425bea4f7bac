"""ID-50: a trail is verified over all services, and whatever somebody changes who may write to the databases is found and named."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import psycopg
import pytest
from google.protobuf.empty_pb2 import Empty
from grpc import aio
from psycopg import sql
from psycopg.rows import DictRow, dict_row

from chassis import ids
from kith.common.v1.audit_pb2 import AuditBatch, CheckAuditBatchesRequest, SealAuditBatchesRequest
from kith.common.v1.audit_pb2_grpc import AuditSealServiceStub, AuditTrailServiceStub
from kith.identity.v1.audit_pb2 import VerifyAuditTrailRequest
from kith.identity.v1.audit_pb2_grpc import AuditServiceStub
from services.identity.audit import trails
from services.identity.rules import NOBODY
from tests.conftest import AdminDsn, Channel, Dsn, Join, Person, Register, ServiceToken
from tests.patience import SECONDS
from tests.service.calls import refused

PATIENCE = 2 * SECONDS
CONTACTS = 3
AT_ONCE = 8


@dataclass(frozen=True, kw_only=True)
class Trail:
    """An organisation's trail, sealed, with a batch for each of its contacts in crm."""

    owner: Person
    edge: httpx.AsyncClient
    admin_dsn: AdminDsn

    async def rows(self, service: str, statement: str, **values: Any) -> list[DictRow]:
        """Look into a service's database, or change it, past every rule and guard; `{tenant}` is the organisation."""
        async with await psycopg.AsyncConnection.connect(self.admin_dsn(service), row_factory=dict_row) as connection:
            await connection.execute("SET session_replication_role TO replica")
            given = {name: sql.Literal(value) for name, value in {"tenant": self.owner.tenant_id, **values}.items()}
            cursor = await connection.execute(sql.SQL(statement).format(**given))  # type: ignore[arg-type]
            return await cursor.fetchall() if cursor.description else []

    async def write(self) -> None:
        """Create a contact, and wait until the chain holds the row of it."""
        before = await self.seals()
        answer = await self.edge.post("/v1/contacts", json={"givenName": "Ada"}, headers=self.owner.headers)
        assert answer.is_success, answer.text
        await self.eventually(lambda now: now > before)

    async def eventually(self, good: Callable[[int], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while True:
                if good(await self.seals()):
                    return
                await asyncio.sleep(0.1)

    async def seals(self) -> int:
        """Return how many batches of crm's are sealed, and their receipts kept."""
        kept = await self.rows("crm", "SELECT count(*) FROM audit_batches WHERE tenant_id = {tenant} AND seal_number > 0")
        return int(kept[0]["count"])

    async def audit_rows(self) -> list[DictRow]:
        """Return crm's rows, the oldest first."""
        return await self.rows("crm", "SELECT id::text FROM audit_log WHERE tenant_id = {tenant} ORDER BY id")

    async def verify(self, **known: str | int) -> dict[str, Any]:
        """Verify the whole trail."""
        answer: dict[str, Any] = {"nextPageToken": ""}
        async with asyncio.timeout(PATIENCE):
            while "flaw" not in answer and (token := answer.get("nextPageToken")) is not None:
                found = await self.edge.get("/v1/auditTrail:verify", params={"pageToken": token, **known}, headers=self.owner.headers)
                assert found.is_success, found.text
                answer = found.json()
                answer = answer if answer.get("nextPageToken") else {**answer, "nextPageToken": None}
        return answer

    async def flaw(self, **known: str | int) -> dict[str, Any]:
        found = await self.verify(**known)
        flaw: dict[str, Any] = found["flaw"]
        return {**flaw, "kind": flaw["kind"].removeprefix("AUDIT_FLAW_KIND_")}


@pytest.fixture(scope="module")
def ready() -> list[Trail]:
    """Trails that no test has touched. Some are made side by side, since each waits for the sealers."""
    return []


@pytest.fixture
async def trail(ready: list[Trail], register: Register, edge: httpx.AsyncClient, admin_dsn: AdminDsn) -> Trail:
    async def make() -> Trail:
        trail = Trail(owner=await register(), edge=edge, admin_dsn=admin_dsn)
        for _ in range(CONTACTS):
            await trail.write()
        return trail

    if not ready:
        ready += await asyncio.gather(*(make() for _ in range(AT_ONCE)))
    trail = ready.pop()
    assert "flaw" not in await trail.verify()
    return trail


async def test_a_trail_that_nobody_touched_is_whole(trail: Trail) -> None:
    found = await trail.verify()
    assert "flaw" not in found
    held = [await trail.rows(service, "SELECT count(*) FROM audit_log WHERE tenant_id = {tenant}") for service in ("identity", "crm")]
    assert CONTACTS < int(found["rowCount"]) <= sum(each[0]["count"] for each in held)
    assert int(found["lastSeal"]["number"]) >= CONTACTS


EDITS = {
    "at": "at + interval '1 microsecond'",
    "actor_kind": "'service'",
    "actor_id": "'somebody else'",
    "session_id": "''",
    "method": "'another'",
    "action": "'another'",
    "resource_id": "'another'",
    "version": "version + 1",
    "changed": "'{given_name}'",
    "before": "'null'::jsonb",
    "after": "after || '{\"x\": 1}'",
    "request_id": "'another'",
    "client_ip": "'192.0.2.1'",
    "user_agent": "NULLIF(user_agent, '') || 'x'",
    "xid": "'5'",
}


@pytest.mark.parametrize("column", EDITS)
async def test_an_edit_of_any_column_is_named_by_its_row(trail: Trail, column: str) -> None:
    edited = (await trail.audit_rows())[1]["id"]
    value = EDITS[column].replace("{", "{{").replace("}", "}}")
    await trail.rows("crm", f"UPDATE audit_log SET {column} = {value} WHERE tenant_id = {{tenant}} AND id = {{id}}", id=edited)
    found = await trail.flaw()
    assert (found["kind"], found["service"], found["rowId"]) == ("ROW_CHANGED", "crm", edited)
    assert int(found["sealNumber"]) > 0 < int(found["batchNumber"])
    assert found["time"]


@pytest.mark.parametrize(("column", "value"), [("id", "gen_random_uuid()"), ("tenant_id", "gen_random_uuid()")])
async def test_a_row_that_is_put_somewhere_else_is_missing(trail: Trail, column: str, value: str) -> None:
    moved = (await trail.audit_rows())[1]["id"]
    await trail.rows("crm", f"UPDATE audit_log SET {column} = {value} WHERE tenant_id = {{tenant}} AND id = {{id}}", id=moved)
    found = await trail.flaw()
    assert (found["kind"], found["rowId"]) == ("ROW_MISSING", moved)


@pytest.mark.parametrize("place", range(CONTACTS))
async def test_a_row_that_is_deleted_is_named_the_last_one_too(trail: Trail, place: int) -> None:
    deleted = (await trail.audit_rows())[place]["id"]
    await trail.rows("crm", "DELETE FROM audit_log WHERE tenant_id = {tenant} AND id = {id}", id=deleted)
    found = await trail.flaw()
    assert (found["kind"], found["service"], found["rowId"]) == ("ROW_MISSING", "crm", deleted)


async def cut_rows_and_batch(trail: Trail) -> int:
    """Cut the last row of crm, and its batch."""
    last = (await trail.audit_rows())[-1]["id"]
    (batch,) = await trail.rows("crm", "SELECT max(number) FROM audit_batches WHERE tenant_id = {tenant}")
    await trail.rows("crm", "DELETE FROM audit_log WHERE tenant_id = {tenant} AND id = {id}", id=last)
    await trail.rows("crm", "DELETE FROM audit_batches WHERE tenant_id = {tenant} AND number = {number}", number=batch["max"])
    return int(batch["max"])


async def test_a_tail_that_is_cut_with_its_batch_is_named(trail: Trail) -> None:
    number = await cut_rows_and_batch(trail)
    found = await trail.flaw()
    assert (found["kind"], found["service"], found["batchNumber"]) == ("BATCH_MISSING", "crm", str(number))


async def test_what_is_cut_on_all_sides_is_missed_by_who_kept_a_seal(trail: Trail) -> None:
    kept = (await trail.verify())["lastSeal"]
    await cut_rows_and_batch(trail)
    (seal,) = await trail.rows("identity", "SELECT max(number) AS number FROM audit_seals WHERE tenant_id = {tenant} AND service = 'crm'")
    await trail.rows("identity", "DELETE FROM audit_seals WHERE tenant_id = {tenant} AND number >= {n}", n=seal["number"])
    forgotten = "UPDATE audit_batches SET seal_number = NULL WHERE tenant_id = {tenant} AND seal_number >= {n}"
    await trail.rows("identity", forgotten, n=seal["number"])
    assert (await trail.flaw(knownNumber=kept["number"], knownDigest=kept["digest"]))["kind"] in ("SEAL_MISSING", "SEAL_CHANGED")


async def test_a_leaf_that_is_changed_with_its_row_makes_another_batch(trail: Trail) -> None:
    edited = (await trail.audit_rows())[1]["id"]
    await trail.rows("crm", "UPDATE audit_log SET action = 'x' WHERE tenant_id = {tenant} AND id = {id}", id=edited)
    rewritten = "UPDATE audit_batches SET leaves = sha256(leaves), root = sha256(leaves) WHERE tenant_id = {tenant} AND number = 2"
    await trail.rows("crm", rewritten)
    found = await trail.flaw()
    assert (found["kind"], found["service"], found["batchNumber"]) == ("BATCH_CHANGED", "crm", "2")


@pytest.mark.parametrize("change", ["row_count = 1000000", "ids = ids || '\\x00'", "leaves = '' "])
async def test_a_batch_whose_pieces_do_not_fit_is_named(trail: Trail, change: str) -> None:
    await trail.rows("crm", f"UPDATE audit_batches SET {change} WHERE tenant_id = {{tenant}} AND number = 2")
    found = await trail.flaw()
    assert (found["kind"], found["service"], found["batchNumber"]) == ("BATCH_CHANGED", "crm", "2")


async def test_batches_that_are_swapped_are_not_what_was_sealed(trail: Trail) -> None:
    await trail.rows("crm", "UPDATE audit_batches SET number = number + 100 WHERE tenant_id = {tenant} AND number < 3")
    await trail.rows("crm", "UPDATE audit_batches SET number = 103 - number WHERE tenant_id = {tenant} AND number > 100")
    assert (await trail.flaw())["kind"] == "BATCH_CHANGED"


SEAL_EDITS = {
    "service": "'billing'",
    "batch_number": "batch_number + 1000",
    "row_count": "row_count + 1",
    "root": "sha256(root)",
    "seal_time": "seal_time + interval '1 second'",
    "previous": "sha256(previous)",
    "kid": "'another'",
    "signature": "sha512(signature)",
}


@pytest.mark.parametrize("column", SEAL_EDITS)
async def test_an_edit_of_a_seal_is_named(trail: Trail, column: str) -> None:
    statement = f"UPDATE audit_seals SET {column} = {SEAL_EDITS[column]} WHERE tenant_id = {{tenant}} AND number = 2"
    await trail.rows("identity", statement)
    found = await trail.flaw()
    assert found["kind"] == "SEAL_CHANGED"
    assert found["sealNumber"] in ("2", "3")  # the next one shows it, where the signature of the first is not looked at


async def test_a_seal_that_is_signed_by_somebody_else_is_named(trail: Trail) -> None:
    await trail.rows(
        "identity",
        "UPDATE audit_seals SET signature = sha512(signature) WHERE (tenant_id, number) = "
        "(SELECT tenant_id, max(number) FROM audit_seals WHERE tenant_id = {tenant} GROUP BY tenant_id)",
    )
    assert (await trail.flaw())["kind"] == "SEAL_CHANGED"


@pytest.mark.parametrize("which", ["= 1", "= 2", "= (SELECT max(number) FROM audit_seals WHERE tenant_id = {tenant})"])
async def test_a_seal_that_is_deleted_is_missing(trail: Trail, which: str) -> None:
    (gone,) = await trail.rows("identity", f"DELETE FROM audit_seals WHERE tenant_id = {{tenant}} AND number {which} RETURNING number")
    found = await trail.flaw()
    assert (found["kind"], found["sealNumber"]) == ("SEAL_MISSING", str(gone["number"]))


async def test_seals_that_are_swapped_do_not_follow_each_other(trail: Trail) -> None:
    await trail.rows("identity", "UPDATE audit_seals SET number = number + 100 WHERE tenant_id = {tenant} AND number IN (2, 3)")
    await trail.rows("identity", "UPDATE audit_seals SET number = 105 - number WHERE tenant_id = {tenant} AND number > 100")
    found = await trail.flaw()
    assert (found["kind"], found["sealNumber"]) == ("SEAL_CHANGED", "2")


async def test_an_old_seal_that_is_shown_again_does_not_follow(trail: Trail) -> None:
    statement = """
        INSERT INTO audit_seals SELECT tenant_id, (SELECT max(number) + 1 FROM audit_seals WHERE tenant_id = {tenant}), service,
               batch_number + 1000, row_count, root, seal_time, previous, kid, signature
        FROM audit_seals WHERE tenant_id = {tenant} AND number = 2
    """
    await trail.rows("identity", statement)
    assert (await trail.flaw())["kind"] == "SEAL_CHANGED"


FORGED = """
    INSERT INTO audit_log (tenant_id, id, at, actor_kind, actor_id, session_id, method, action, resource_id, version, changed,
                           request_id, client_ip, user_agent, xid)
    SELECT tenant_id, {id}, at, actor_kind, actor_id, session_id, method, action, resource_id, version + 1, changed, request_id,
           client_ip, user_agent, {xid}
    FROM audit_log WHERE tenant_id = {tenant} ORDER BY id LIMIT 1
"""


@pytest.mark.parametrize("xid", ["10", "999999999999"])
async def test_a_row_that_is_slipped_in_behind_the_seals_is_named(trail: Trail, xid: str) -> None:
    forged = ids.new()
    await trail.rows("crm", FORGED, id=forged, xid=xid)
    found = await trail.flaw()
    assert (found["kind"], found["service"], found["rowId"]) == ("ROW_UNSEALED", "crm", forged)


async def test_a_row_that_is_sealed_twice_does_not_make_up_for_one_that_was_slipped_in(trail: Trail) -> None:
    again = """
        INSERT INTO audit_batches (tenant_id, number, batch_time, row_count, root, ids, leaves)
        SELECT tenant_id, (SELECT max(number) + 1 FROM audit_batches WHERE tenant_id = {tenant}), now(), row_count, root, ids, leaves
        FROM audit_batches WHERE tenant_id = {tenant} AND number = 1 RETURNING encode(ids, 'hex') AS ids
    """
    before = await trail.seals()
    (repeated,) = await trail.rows("crm", again)
    await trail.eventually(lambda now: now > before)
    found = await trail.flaw()
    assert (found["kind"], found["rowId"].replace("-", "")) == ("ROW_REPEATED", repeated["ids"])
    forged = ids.new()
    await trail.rows("crm", FORGED, id=forged, xid="10")
    found = await trail.flaw()
    assert (found["kind"], found["rowId"]) == ("ROW_UNSEALED", forged)


async def test_a_batch_that_was_never_sealed_does_not_vouch_for_a_row_that_was_slipped_in(trail: Trail) -> None:
    forged = ids.new()
    await trail.rows("crm", FORGED, id=forged, xid="10")
    slipped = """
        INSERT INTO audit_batches (tenant_id, number, batch_time, row_count, root, ids, leaves, seal_number)
        SELECT {tenant}, 1000, now(), 1, root, uuid_send({id}), leaves, 0 FROM audit_batches WHERE tenant_id = {tenant} AND number = 1
    """
    await trail.rows("crm", slipped, id=forged)
    found = await trail.flaw()
    assert (found["kind"], found["service"], found["batchNumber"]) == ("SEAL_MISSING", "crm", "1000")


async def test_rows_that_are_not_sealed_yet_are_told(trail: Trail) -> None:
    """Each verification leaves a row that the next one meets, unless the sealer was quicker."""
    async with asyncio.timeout(PATIENCE):
        while not int((found := await trail.verify()).get("unsealedRowCount", 0)):
            assert "oldestUnsealedTime" not in found
    assert found["oldestUnsealedTime"]


async def test_who_may_not_read_the_trail_may_not_verify_it(trail: Trail, join: Join, edge: httpx.AsyncClient) -> None:
    member = await join(trail.owner, "member")
    assert (await edge.get("/v1/auditTrail:verify", headers=member.headers)).status_code == httpx.codes.FORBIDDEN
    admin = await join(trail.owner, "admin")
    assert (await edge.get("/v1/auditTrail:verify", headers=admin.headers)).is_success


async def test_a_verification_leaves_a_line_itself(trail: Trail) -> None:
    found = await trail.rows("identity", "SELECT actor_id FROM audit_log WHERE tenant_id = {tenant} AND action = 'VerifyAuditTrail'")
    assert found[0]["actor_id"] == trail.owner.user_id


async def test_an_operator_verifies_any_trail(trail: Trail, channel: Channel, service_token: ServiceToken) -> None:
    stub = AuditServiceStub(channel("identity"))
    metadata = (("x-kith-service", service_token("identity", trail.owner.tenant_id)),)
    found = await stub.CheckAuditTrail(VerifyAuditTrailRequest(), metadata=metadata, timeout=SECONDS)
    assert not found.HasField("flaw")
    assert found.row_count > CONTACTS


async def test_the_trail_of_nobody_is_verified_too(edge: httpx.AsyncClient, channel: Channel, service_token: ServiceToken) -> None:
    answer = await edge.post("/v1/auth:signIn", json={"email": f"{ids.new()}@example.com", "password": "of nobody at all"})
    assert answer.status_code == httpx.codes.UNAUTHORIZED
    check = AuditServiceStub(channel("identity")).CheckAuditTrail
    metadata = (("x-kith-service", service_token("identity", NOBODY)),)
    async with asyncio.timeout(PATIENCE):
        while True:
            found = await check(VerifyAuditTrailRequest(), metadata=metadata, timeout=SECONDS)
            assert not found.HasField("flaw")
            if found.row_count:
                return
            await asyncio.sleep(0.1)


@pytest.fixture
def sealing(channel: Channel, service_token: ServiceToken) -> Callable[..., aio.UnaryUnaryCall[Any, Any]]:
    """`await sealing(batch, ...)` has batches sealed as crm does."""
    stub = AuditSealServiceStub(channel("identity"))

    def seal(*batches: AuditBatch, tenant_id: str = "") -> Any:
        metadata = (("x-kith-service", service_token("identity", tenant_id, by="crm")),)
        return stub.SealAuditBatches(SealAuditBatchesRequest(batches=batches), metadata=metadata, timeout=SECONDS)

    return seal


async def test_a_batch_that_is_asked_for_again_gets_the_same_receipt_and_another_one_none(sealing: Any) -> None:
    tenant_id = ids.new()
    batch = AuditBatch(tenant_id=tenant_id, number=1, row_count=2, root=bytes(32))
    first = await sealing(batch)
    other = AuditBatch(tenant_id=tenant_id, number=1, row_count=3, root=bytes(32))
    again = await sealing(batch, other, AuditBatch(tenant_id=tenant_id, number=2, row_count=1, root=bytes(32)))
    assert again.receipts[0] == first.receipts[0]
    assert [receipt.seal_number for receipt in again.receipts] == [1, 0, 2]


async def test_services_that_seal_at_once_make_one_chain(sealing: Any, channel: Channel, service_token: ServiceToken) -> None:
    tenant_id = ids.new()
    batches = [AuditBatch(tenant_id=tenant_id, number=number, row_count=1, root=bytes(32)) for number in range(1, 21)]
    answers = await asyncio.gather(*(sealing(batch) for batch in batches))
    assert sorted(answer.receipts[0].seal_number for answer in answers) == list(range(1, 21))


@pytest.mark.parametrize(
    "batch",
    [
        AuditBatch(tenant_id="x", number=1, row_count=1, root=bytes(32)),
        AuditBatch(tenant_id=ids.new(), number=0, row_count=1, root=bytes(32)),
        AuditBatch(tenant_id=ids.new(), number=1, row_count=0, root=bytes(32)),
        AuditBatch(tenant_id=ids.new(), number=1, row_count=1, root=b""),
    ],
)
async def test_what_is_no_batch_is_refused_alone(sealing: Any, batch: AuditBatch) -> None:
    good = AuditBatch(tenant_id=ids.new(), number=1, row_count=1, root=bytes(32))
    assert [receipt.seal_number for receipt in (await sealing(batch, good)).receipts] == [0, 1]


async def test_too_many_batches_are_refused(sealing: Any) -> None:
    batch = AuditBatch(tenant_id=ids.new(), number=1, row_count=1, root=bytes(32))
    assert (await refused(sealing(*[batch] * 501))).reason == "FIELD_INVALID"


async def test_operators_find_the_chains_of_what_is_no_organisation_any_more(sealing: Any, dsn: Dsn) -> None:
    tenant_id = ids.new()
    await sealing(AuditBatch(tenant_id=tenant_id, number=1, row_count=1, root=bytes(32)))
    assert tenant_id in await trails.tenants(dsn("identity", "migrator"))


async def test_a_token_for_one_tenant_seals_nothing(sealing: Any) -> None:
    assert (await refused(sealing(tenant_id=ids.new()))).reason == "PERMISSION_MISSING"


async def test_people_reach_none_of_the_inner_doors(channel: Channel, trail: Trail) -> None:
    for call, request in (
        (AuditSealServiceStub(channel("identity")).SealAuditBatches, SealAuditBatchesRequest()),
        (AuditTrailServiceStub(channel("crm")).CheckAuditBatches, CheckAuditBatchesRequest()),
        (AuditTrailServiceStub(channel("crm")).CheckAuditEnd, Empty()),
        (AuditServiceStub(channel("identity")).CheckAuditTrail, VerifyAuditTrailRequest()),
    ):
        assert (await refused(call(request, metadata=trail.owner.metadata, timeout=SECONDS))).reason == "INTERNAL_ONLY"
