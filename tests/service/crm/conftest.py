"""What the tests of crm stand on: stubs, people, and records of their own."""

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc import aio
from grpc_status import rpc_status

from kith.crm.v1 import companies_pb2, companies_pb2_grpc, contacts_pb2, contacts_pb2_grpc
from tests.conftest import Channel, Person, Register
from tests.service.calls import As

Contact = contacts_pb2.Contact
Company = companies_pb2.Company
MakeContact = Callable[..., Awaitable[Contact]]
MakeCompany = Callable[..., Awaitable[Company]]


@pytest.fixture
async def owner(register: Register) -> Person:
    """The owner of an organisation that this test has for itself; its phones are read in the US."""
    return await register(region="US")


@pytest.fixture
def contacts_of(channel: Channel) -> Callable[[Person], Any]:
    stub = contacts_pb2_grpc.ContactServiceStub(channel("crm"))
    return lambda person: As(stub, person)


@pytest.fixture
def companies_of(channel: Channel) -> Callable[[Person], Any]:
    stub = companies_pb2_grpc.CompanyServiceStub(channel("crm"))
    return lambda person: As(stub, person)


@pytest.fixture
def contacts(contacts_of: Callable[[Person], Any], owner: Person) -> Any:
    """ContactService as the owner."""
    return contacts_of(owner)


@pytest.fixture
def companies(companies_of: Callable[[Person], Any], owner: Person) -> Any:
    """CompanyService as the owner."""
    return companies_of(owner)


@pytest.fixture
def make_contact(contacts: Any) -> MakeContact:
    async def make(**fields: Any) -> Contact:
        return await contacts.CreateContact(contacts_pb2.CreateContactRequest(contact=Contact(**{"given_name": "Ann", **fields})))

    return make


@pytest.fixture
def make_company(companies: Any) -> MakeCompany:
    async def make(**fields: Any) -> Company:
        return await companies.CreateCompany(companies_pb2.CreateCompanyRequest(company=Company(**{"name": "Acme", **fields})))

    return make


class Refused:
    """What a refused call said."""

    def __init__(self, said: status_pb2.Status) -> None:
        self.code = grpc.StatusCode[_CODES[said.code]]
        self.message = said.message
        infos = [_unpacked(each, error_details_pb2.ErrorInfo) for each in said.details if each.Is(error_details_pb2.ErrorInfo.DESCRIPTOR)]
        assert len(infos) == 1
        self.reason = infos[0].reason
        self.domain = infos[0].domain
        self.metadata = dict(infos[0].metadata)
        bad = [_unpacked(each, error_details_pb2.BadRequest) for each in said.details if each.Is(error_details_pb2.BadRequest.DESCRIPTOR)]
        self.fields = [violation.field for each in bad for violation in each.field_violations]


_CODES = {code.value[0]: code.name for code in grpc.StatusCode}


def _unpacked(detail: Any, kind: Any) -> Any:
    message = kind()
    detail.Unpack(message)
    return message


async def refused(call: Awaitable[Any]) -> Refused:
    """Return how a call that must fail was refused."""
    with pytest.raises(aio.AioRpcError) as error:
        await call
    said = rpc_status.from_call(error.value)
    assert said is not None, f"{error.value.code()}: {error.value.details()}"
    return Refused(said)
