"""Columns and lines of exports, made from resources alone."""

import json

import pytest

from chassis.exports.columns import Columns, table
from chassis.exports.json_lines import JsonLines
from chassis.json.encoders import GENERATED
from kith.crm.v1.companies_pb2 import Company
from kith.crm.v1.contacts_pb2 import CONTACT_STATUS_ARCHIVED, BatchUpdateContactsResponse, Contact

ANN = Contact(
    id="1",
    etag='"1"',
    given_name="Ann",
    emails=[{"address": "a@example.com", "label": "work"}, {"address": "b@example.com"}],
    phones=[{"number": "+49 30 1", "e164": "+49301"}],
    status=CONTACT_STATUS_ARCHIVED,
    address={"lines": ["12 High Street", "York"]},
    last_contacted_time={"seconds": 0},
)
SHOWN = GENERATED.message(Contact.DESCRIPTOR)(ANN)


def cells(*paths: str) -> list[str]:
    return table(Columns(Contact).chosen(paths), [ANN]).decode().removesuffix("\r\n").split(",")


def test_lists_stand_in_one_cell_and_what_goes_with_them_beside() -> None:
    assert cells("emails", "emails.label", "phones", "phones.e164") == ["a@example.com; b@example.com", "work; ", "'+49 30 1", "'+49301"]


def test_words_times_and_nothing() -> None:
    assert cells("status", "last_contacted_time", "create_time", "tags") == ["archived", "1970-01-01T00:00:00Z", "", ""]


def test_a_part_is_chosen_as_a_whole_or_by_field() -> None:
    assert [column.path for column in Columns(Company).chosen(["address", "name", "name"])] == [
        *(f"address.{name}" for name in ("lines", "city", "state", "postal_code", "region")),
        "name",
    ]


def test_usually_everything_is_there_but_what_the_service_adds_to_parts_and_versions() -> None:
    usual = {column.path for column in Columns(Contact).chosen([])}
    assert {column.path for column in Columns(Contact).chosen(["*"])} - usual == {"etag", "phones.e164", "phones.extension"}


@pytest.mark.parametrize("path", ["nothing", "address.nothing", "emails.", "given_name.x"])
def test_what_is_no_field_is_named(path: str) -> None:
    with pytest.raises(KeyError, match=path):
        Columns(Contact).chosen([path])
    with pytest.raises(KeyError, match=path):
        JsonLines(Contact, [path])


def test_what_has_no_form_in_a_table_is_found_at_the_start() -> None:
    with pytest.raises(TypeError, match="has no form in a CSV file"):
        Columns(BatchUpdateContactsResponse)


def test_json_lines_hold_what_is_chosen_and_the_whole_goes_before_its_parts() -> None:
    line = JsonLines(Contact, ["id", "emails.label", "address", "address.city", "last_contacted_time"]).lines([SHOWN])
    assert json.loads(line) == {
        "id": "1",
        "emails": [{"label": "work"}, {"label": ""}],
        "address": {"lines": ["12 High Street", "York"], "city": "", "state": "", "postalCode": "", "region": ""},
        "lastContactedTime": "1970-01-01T00:00:00Z",
    }
    assert JsonLines(Contact, ["*", "id"]).lines([SHOWN]) == JsonLines(Contact, []).lines([SHOWN])
