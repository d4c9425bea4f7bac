"""The table of promises only grows: what leaves it or changes in it is named, and what is new is asked to be added."""

from collections.abc import Callable
from pathlib import Path

import pytest

from stack.contract_check import lock
from stack.contract_check.image import Image

Plant = Callable[..., Image]

GET = "methods: kith.crm.v1.WidgetService/GetWidget"
BROKEN = [
    ('"/v1/widgets/{id}"', '"/v1/gadgets/{id}"', "GET /v1/gadgets/{id}"),
    ("permission: PERMISSION_CRM_CONTACTS_READ", "permission: PERMISSION_CRM_COMPANIES_READ", "PERMISSION_CRM_COMPANIES_READ"),
    ("permission: PERMISSION_CRM_CONTACTS_READ", "public: true", "public"),
    ("rate_tier: RATE_TIER_READ", "rate_tier: RATE_TIER_HEAVY", "RATE_TIER_HEAVY"),
    ("rpc GetWidget(", "rpc FetchWidget(", f"{GET} was promised and is gone"),
    ("crm.widget.painted.v1", "crm.widget.painted.v2", "events: kith.crm.v1.WidgetPainted"),
    ("message WidgetPainted", "message WidgetCoated", "events: kith.crm.v1.WidgetPainted was promised and is gone"),
]


@pytest.mark.parametrize(("old", "new", "said"), BROKEN, ids=[said for *_, said in BROKEN])
def test_a_broken_promise_is_named(plant: Plant, old: str, new: str, said: str) -> None:
    found = [fault.what for fault in lock.broken("lock", lock.table(plant()), lock.table(plant(old, new)))]
    assert len(found) == 1
    assert said in found[0]


def test_a_permission_keeps_its_name_and_number(plant: Plant) -> None:
    promised = lock.table(plant())
    moved = {**promised, "permissions": {**promised["permissions"], "PERMISSION_CRM_CONTACTS_READ": 9}}
    assert [fault.what for fault in lock.broken("lock", promised, moved)] == [
        "permissions: PERMISSION_CRM_CONTACTS_READ was 2 and is now 9",
    ]


def test_what_is_new_is_asked_for_and_breaks_nothing(plant: Plant) -> None:
    more = 'message More { option (kith.options.v1.event) = {subject: "crm.widget.grown.v1" key: "id"}; string id = 1; }\nmessage Widget {'
    old, new = lock.table(plant()), lock.table(plant("message Widget {", more))
    assert list(lock.broken("lock", old, new)) == []
    assert [fault.what for fault in lock.unlisted("lock", old, new)] == [f"events: kith.crm.v1.More is new; run `{lock.RENEW}`"]


def test_a_route_may_be_added_and_not_taken_away(plant: Plant) -> None:
    two = 'get: "/v1/widgets/{id}" additional_bindings: {get: "/v1/gadgets/{id}"}'
    old, new = lock.table(plant()), lock.table(plant('get: "/v1/widgets/{id}"', two))
    assert list(lock.broken("lock", old, new)) == []
    assert [fault.what for fault in lock.unlisted("lock", old, new)] == [f"{GET} has a new route; run `{lock.RENEW}`"]
    assert len(list(lock.broken("lock", new, old))) == 1


def test_the_table_is_written_as_it_is_read(plant: Plant, tmp_path: Path) -> None:
    table, path = lock.table(plant()), tmp_path / "lock.json"
    lock.write(path, table)
    assert lock.read(path) == table
    assert list(lock.unlisted("lock", lock.read(path), table)) == []
