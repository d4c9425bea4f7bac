"""What is written on the outside of an event: the headers by which it is routed, remembered and traced.

They follow the binary mode of CloudEvents, with NATS's own id for de-duplication and three of ours.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, Self

import orjson

from chassis import ids
from chassis.contract import PREFIX

CONTENT_TYPE: Final = "application/protobuf"

_NAMES: Final = {
    "id": "Nats-Msg-Id",
    "type": "ce-type",
    "source": "ce-source",
    "time": "ce-time",
    "tenant_id": "kith-tenant",
    "key": "kith-key",
    "traceparent": "traceparent",
    "actor": "actor",
}
"""Headers by the fields of an envelope, in their order."""


class Envelope(NamedTuple):
    """One event from outside. `type` is the contract's subject, `key` its aggregate's id, `version` the aggregate's."""

    id: str
    type: str
    source: str
    time: str
    tenant_id: str
    key: str
    traceparent: str = ""
    actor: str = ""
    version: int = 0

    @property
    def lane(self) -> str:
        """Return what stays in order with it: its key within its tenant. A person's id is the same in every organisation."""
        return f"{self.tenant_id} {self.key}"

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Self:
        """Return the envelope of a row of the outbox."""
        tenant_id = str(row["tenant_id"])
        kind = row["subject"].removeprefix(PREFIX).removesuffix(f".{tenant_id}")
        created: datetime = row["created_at"]
        said = row["headers"] if isinstance(row["headers"], dict) else orjson.loads(row["headers"])
        return cls(
            id=str(row["id"]),
            type=kind,
            source=service_of(kind),
            time=created.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z",
            tenant_id=tenant_id,
            key=row["key"],
            version=row["version"],
            traceparent=said.get("traceparent", ""),
            actor=said.get("actor", ""),
        )

    @classmethod
    def of_headers(cls, headers: Mapping[str, str] | None) -> Self:
        """Return the envelope that a message carries; ValueError if it carries none of ours."""
        given = headers or {}
        said = {field: given.get(name, "") for field, name in _NAMES.items()}
        if not (said["id"] and said["type"] and said["key"] and ids.valid(said["tenant_id"])):
            raise ValueError("not one of our events")
        return cls(version=int(given.get("kith-version", "0")), **said)

    def headers(self) -> dict[str, str]:
        """Return the headers to publish with."""
        said = dict(zip(_NAMES.values(), self[:-1], strict=True))
        said |= {"ce-id": self.id, "content-type": CONTENT_TYPE, "kith-version": str(self.version)}
        return said if all(said.values()) else {name: value for name, value in said.items() if value}


def service_of(kind: str) -> str:
    """Return the service that publishes a type of event: "crm" of "crm.contact.created.v1"."""
    return kind.partition(".")[0]
