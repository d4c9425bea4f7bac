"""How keys are asked of another service: one tenant's with a token for that tenant, several tenants' with one question."""

from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest

from chassis import ids
from chassis.clients import Clients
from chassis.contract import ContractError
from chassis.events.consumer import consumers
from chassis.events.foreign_keys import remote
from chassis.sealing.keys import SubjectKey, label
from chassis.sealing.opening import Incoming
from kith.common.v1 import subject_keys_pb2
from kith.common.v1.subject_keys_pb2 import BatchGetSubjectKeysResponse, SearchSubjectKeysResponse, TenantSubjectKeys
from kith.crm.v1.contacts_pb2 import Contact
from kith.crm.v1.events_pb2 import ContactCreated

KIND = "crm.contact.created.v1"
SHARED = ids.new()  # a record's id may be known to several tenants, as a person who is a member of both is


class Service:
    """A service that has a key for every record, and notes for which tenant it is asked what."""

    def __init__(self) -> None:
        self.keys: dict[tuple[str, str], SubjectKey] = {}
        self.asked: list[tuple[str, str]] = []

    def channel(self, tenant_id: str | None = None, *, of: str = "") -> Any:
        return _Channel(lambda path, request: self._answer(tenant_id or "", path.rpartition("/")[2], request))

    def _answer(self, tenant_id: str, method: str, request: Any) -> Any:
        self.asked.append((method, tenant_id))
        if method == "BatchGetSubjectKeys":
            return BatchGetSubjectKeysResponse(subject_keys=self._found(tenant_id, request.ids))
        tenants = [
            TenantSubjectKeys(tenant_id=each.tenant_id, subject_keys=self._found(each.tenant_id, each.ids)) for each in request.tenants
        ]
        return SearchSubjectKeysResponse(tenants=tenants)

    def _found(self, tenant_id: str, subjects: Sequence[str]) -> list[subject_keys_pb2.SubjectKey]:
        return [subject_keys_pb2.SubjectKey(id=each, secret_key=self.keys[tenant_id, each].secret) for each in subjects]

    def event(self, tenant_id: str, name: str) -> Incoming:
        key = self.keys[tenant_id, SHARED] = SubjectKey.new()
        personal = ContactCreated(contact=Contact(given_name=name)).SerializeToString()
        sealed = key.seal(personal, label(kind=KIND, tenant_id=tenant_id, subject=SHARED))
        return Incoming(KIND, tenant_id, SHARED, ContactCreated(contact=Contact(id=SHARED), sealed=sealed))


class _Channel:
    def __init__(self, answer: Callable[[str, Any], Any]) -> None:
        self._answer = answer

    def unary_unary(self, path: str, **_: Any) -> Any:
        async def call(request: Any) -> Any:
            return self._answer(path, request)

        return call


@pytest.mark.parametrize("tenants", [1, 3])
async def test_keys_are_asked_for_with_one_question(tenants: int) -> None:
    service = Service()
    events = [service.event(ids.new(), str(place)) for place in range(tenants)]
    opener = remote("crm", cast("Clients", service))
    await opener.prepare(events)
    for event in events:
        await opener.open(event)
    names = [cast("ContactCreated", event.message).contact.given_name for event in events]
    assert names == [str(place) for place in range(tenants)]
    assert service.asked == [("BatchGetSubjectKeys", events[0].tenant_id) if tenants == 1 else ("SearchSubjectKeys", "")]


def test_a_service_does_not_come_up_to_handle_what_it_may_not_read() -> None:
    nothing = cast("Any", None)
    with pytest.raises(ContractError, match=r"billing handles crm\.contact\.created\.v1 and is no reader of crm's keys"):
        consumers(nothing, service="billing", handlers=[{ContactCreated: nothing}], database=nothing, opener=nothing, dsn="")
