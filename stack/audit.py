"""`kith audit verify`: the audit trails of organisations, computed anew over all services, to the first break of each."""

import json
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.markup import escape

from stack.processes.supervisor import StartError
from stack.terminal import Data, Json, console, run, wiring_of
from stack.topology import OPERATOR
from stack.wiring import Wiring

if TYPE_CHECKING:
    from kith.identity.v1.audit_pb2 import VerifyAuditTrailResponse

app: Final = typer.Typer(no_args_is_help=True, help="Look after the audit trail.")

SEALS: Final = "identity"
CALL_SECONDS: Final = 60.0

Tenant = Annotated[str, typer.Option("--tenant", metavar="ID", help="Only of this organisation.")]


@app.callback()
def audit() -> None:
    """Look after the audit trail."""


@app.command()
def verify(*, tenant: Tenant = "", data: Data = None, as_json: Json = False) -> None:
    """Verify the trails of all organisations, or of one; exit 1 if one is broken."""
    run(_verify(wiring_of(data), tenant, as_json=as_json))


async def _verify(wiring: Wiring, tenant: str, *, as_json: bool) -> None:
    from services.identity.audit.trails import tenants  # noqa: PLC0415 - a service's imports are paid by the command that needs them

    found: list[dict[str, Any]] = []
    for tenant_id in [tenant] if tenant else await tenants(wiring.dsn(SEALS, "migrator")):
        found.append({"tenant": tenant_id, **_shown(await _walk(wiring, tenant_id))})
        if not as_json:
            console.print(escape(_line(found[-1])))
    if as_json:
        print(json.dumps(found))
    if any(each["flaw"] for each in found):
        raise typer.Exit(1)


async def _walk(wiring: Wiring, tenant_id: str) -> "VerifyAuditTrailResponse":
    """Return the last answer about a trail: at its end, or at its first break."""
    from grpc import aio  # noqa: PLC0415 - as above

    from chassis.tokens.service import ServiceSigner  # noqa: PLC0415 - as above
    from kith.identity.v1.audit_pb2 import VerifyAuditTrailRequest  # noqa: PLC0415 - as above
    from kith.identity.v1.audit_pb2_grpc import AuditServiceStub  # noqa: PLC0415 - as above
    from stack.keys import load_key  # noqa: PLC0415 - as above

    signer = ServiceSigner(service=OPERATOR, key=load_key(wiring.secrets.service_key(OPERATOR)))
    async with aio.insecure_channel(wiring.address(SEALS)) as channel:
        stub: Any = AuditServiceStub(channel)
        token = ""
        while True:
            metadata = (("x-kith-service", signer.token(SEALS, tenant_id)),)
            try:
                answer: VerifyAuditTrailResponse = await stub.CheckAuditTrail(
                    VerifyAuditTrailRequest(page_token=token), metadata=metadata, timeout=CALL_SECONDS
                )
            except aio.AioRpcError as error:
                raise StartError(f"{tenant_id}: {error.code().name} {error.details()}") from None
            token = answer.next_page_token
            if not token:
                return answer


def _shown(answer: "VerifyAuditTrailResponse") -> dict[str, Any]:
    from google.protobuf.json_format import MessageToDict  # noqa: PLC0415 - as above

    flaw = MessageToDict(answer.flaw) if answer.HasField("flaw") else None
    return {
        "rows": answer.row_count,
        "seal": answer.last_seal.number,
        "digest": answer.last_seal.digest,
        "unsealed": answer.unsealed_row_count,
        "since": answer.oldest_unsealed_time.ToJsonString() if answer.HasField("oldest_unsealed_time") else None,
        "flaw": flaw,
    }


def _line(found: dict[str, Any]) -> str:
    said = f"{found['tenant']}: {found['rows']} rows, {found['seal']} seals"
    if found["unsealed"]:
        said += f", {found['unsealed']} rows not sealed since {found['since']}"
    if not found["flaw"]:
        return f"{said}, whole"
    flaw = dict(found["flaw"])
    kind = flaw.pop("kind").removeprefix("AUDIT_FLAW_KIND_").replace("_", " ").lower()
    return f"{said}, then broken: {kind} ({', '.join(f'{name} {value}' for name, value in flaw.items())})"
