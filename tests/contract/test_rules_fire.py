"""Each rule of the contract check reports its planted fault and nothing else; a rule that cannot fail would keep nothing."""

from collections.abc import Callable, Iterator

import pytest

from chassis.errors import ErrorReason
from stack.contract_check import events, fields, policies, reasons, routes, shapes
from stack.contract_check.fault import Fault
from stack.contract_check.image import Image

Check = Callable[[Image], Iterator[Fault]]

READ = "permission: PERMISSION_CRM_CONTACTS_READ rate_tier: RATE_TIER_READ"
PAINT_RECORD = 'rate_tier: RATE_TIER_WRITE audit: AUDIT_CALL\n      idempotency: IDEMPOTENCY_REQUIRED resource: "id"'
PAINT_ROUTE = 'post: "/v1/widgets/{id}:paint" body: "*"'
TOUCH = """TouchWidget(OpenWidgetRequest) returns (google.protobuf.Empty) {
    option (kith.options.v1.policy) = {
      internal: true rate_tier: RATE_TIER_WRITE audit: AUDIT_CALL"""
OPEN = "signed_in: true rate_tier: RATE_TIER_AUTH audit: AUDIT_CALL"
SECOND_KEY_SET = """
  rpc GetOtherSet(google.protobuf.Empty) returns (google.api.HttpBody) {
    option (google.api.http) = {get: "/v1/otherset"};
    option (kith.options.v1.policy) = {public: true rate_tier: RATE_TIER_ANON key_set: true};
  }
}

message Widget {"""

PLANTS: list[tuple[Check, str, str, str]] = [
    (policies.check, f"option (kith.options.v1.policy) = {{{READ}}};", "", "GetWidget has no policy"),
    (policies.check, READ, "rate_tier: RATE_TIER_READ", "does not say who may call"),
    (policies.check, READ, "permission: PERMISSION_CRM_CONTACTS_READ", "has no rate_tier"),
    (policies.check, READ, "signed_in: false rate_tier: RATE_TIER_READ", "GetWidget does not say who may call"),
    (policies.check, READ, "permission: PERMISSION_UNSPECIFIED rate_tier: RATE_TIER_READ", "of GetWidget does not say"),
    (policies.check, READ, "permission: PERMISSION_IDENTITY_MEMBERS_READ rate_tier: RATE_TIER_READ", "starts with PERMISSION_CRM_"),
    (policies.check, READ, "internal: true rate_tier: RATE_TIER_READ", "is internal and must have no route"),
    (policies.check, 'option (google.api.http) = {get: "/v1/widgets/{id}"};', "", "has no route and is not internal"),
    (policies.check, READ, f"{READ} idempotency: IDEMPOTENCY_OPTIONAL", "is a read and takes no idempotency key"),
    (policies.check, READ, f"{READ} audit: AUDIT_CHANGE", "is a read and leaves no change"),
    (policies.check, PAINT_RECORD, PAINT_RECORD.replace("audit: AUDIT_CALL", ""), "leaves nothing in the audit trail"),
    (policies.check, TOUCH, TOUCH.replace("TouchWidget", "VerifyWidget").replace("audit: AUDIT_CALL", ""), "VerifyWidget is a write"),
    (
        policies.check,
        PAINT_RECORD,
        PAINT_RECORD.replace("idempotency: IDEMPOTENCY_REQUIRED", ""),
        "does not say what an idempotency key does",
    ),
    (policies.check, OPEN, f"{OPEN} idempotency: IDEMPOTENCY_OPTIONAL", "its answer carries a secret"),
    (policies.check, "clears_cookie", "idempotency: IDEMPOTENCY_OPTIONAL clears_cookie", "a public caller is nobody"),
    (policies.check, 'resource: "widget.id"', 'resource: "widget.number"', "names the resource widget.number"),
    (policies.check, 'clears_cookie: "wt"', 'clears_cookie: "rt"', "clears the cookie rt"),
    (
        policies.check,
        "{public: true rate_tier: RATE_TIER_ANON key_set",
        "{signed_in: true rate_tier: RATE_TIER_ANON key_set",
        "so it is public",
    ),
    (policies.check, "\n}\n\nmessage Widget {", SECOND_KEY_SET, "is a second key_set"),
    (
        shapes.check,
        "GetWidget(GetWidgetRequest) returns (Widget)",
        "GetWidget(GetWidgetRequest) returns (GetWidgetRequest)",
        "answers with",
    ),
    (shapes.check, "GetWidget(GetWidgetRequest)", "GetWidget(PaintWidgetRequest)", "instead of GetWidgetRequest"),
    (shapes.check, "message GetWidgetRequest { string id", "message GetWidgetRequest { int32 id", "needs the field id of string"),
    (shapes.check, 'get: "/v1/widgets/{id}"', 'put: "/v1/widgets/{id}"', "is reached by PUT instead of GET"),
    (shapes.check, "repeated string ids", "string ids", "needs the field ids of repeated string"),
    (shapes.check, "repeated string missing_ids", "string missing_ids", "needs the field missing_ids"),
    (shapes.check, "widgets:batchGet", "widgets:many", "does not end in :batchGet"),
    (shapes.check, "int32 page_size", "int64 page_size", "needs the field page_size of int32"),
    (shapes.check, "string page_token", "string token", "needs the field page_token"),
    (shapes.check, "string next_page_token", "string more", "needs the field next_page_token"),
    (
        shapes.check,
        "ListWidgetsResponse { repeated Widget widgets",
        "ListWidgetsResponse { repeated Widget items",
        "needs the field widgets",
    ),
    (shapes.check, 'post: "/v1/widgets" body: "widget"', 'post: "/v1/widgets" body: "*"', "has the body '*' instead of 'widget'"),
    (
        shapes.check,
        "Widget widget = 1; bool validate_only",
        "Widget thing = 1; bool validate_only",
        "needs the field widget of kith.crm.v1.Widget",
    ),
    (shapes.check, "bool validate_only = 2;", "", "needs the field validate_only of bool"),
    (shapes.check, "google.protobuf.FieldMask update_mask = 2;", "", "needs the field update_mask"),
    (shapes.check, "google.protobuf.Timestamp update_time = 7;", "", "needs the field update_time of google.protobuf.Timestamp in Widget"),
    (shapes.check, "/v1/widgets/{widget.id}", "/v1/widgets/{widget.id}/all", "does not end in {widget.id}"),
    (shapes.check, 'patch: "/v1', 'put: "/v1', "is reached by PUT instead of PATCH"),
    (
        shapes.check,
        "message DeleteWidgetRequest { string id = 1; string etag = 2; }",
        "message DeleteWidgetRequest { string id = 1; }",
        "field etag",
    ),
    (
        shapes.check,
        "DeleteWidget(DeleteWidgetRequest) returns (google.protobuf.Empty)",
        "DeleteWidget(DeleteWidgetRequest) returns (Widget)",
        "Empty",
    ),
    (shapes.check, "repeated DeleteWidgetRequest requests", "DeleteWidgetRequest requests", "needs the field requests"),
    (shapes.check, "repeated Result results", "repeated Widget results", "needs the field results"),
    (shapes.check, "{id}:paint", "{id}/paint", "does not end in :verb"),
    (shapes.check, PAINT_ROUTE, 'put: "/v1/widgets/{id}:paint" body: "*"', "is reached by PUT instead of POST"),
    (shapes.check, PAINT_ROUTE, 'get: "/v1/widgets/{id}:paint"', "is reached by GET instead of POST"),
    (routes.check, 'get: "/v1/widgets/{id}"', 'get: "/v1/widgets/{id}" body: "*"', "GET takes no body"),
    (routes.check, 'delete: "/v1/widgets/{id}"', 'delete: "/v1/widgets/{id}" body: "*"', "DELETE takes no body"),
    (routes.check, '"/v1/widgets:batchGet"', '"/v1/widgets"', "has the shape of a route of kith.crm.v1.WidgetService.BatchGetWidgets"),
    (routes.check, '"/v1/widgetset"', '"/v1/widgets/*"', "has the shape of a route of kith.crm.v1.WidgetService.GetWidget"),
    (routes.check, 'body: "widget"', 'body: "wodget"', "has no field wodget"),
    (routes.check, '"/v1/widgets/{id}"', '"/v1/widgets/{number}"', "number is no single plain value"),
    (routes.check, "{widget.id}", "{widget}", "widget is no single plain value"),
    (routes.check, "{widget.id}", "{widget.tags}", "widget.tags is no single plain value"),
    (routes.check, '"/v1/widgets/{id}:paint"', '"/v1/widgets/{id}/{id}:paint"', "names a variable twice"),
    (routes.check, '"/v1/widgets/{id}"', '"/v2/widgets/{id}"', "does not start with /v1/"),
    (fields.check, "string colour = 3;", "string colour = 3; string api_key = 9;", "api_key is named like a secret"),
    (
        fields.check,
        "string door_code = 1 [(kith.options.v1.sensitivity) = SENSITIVITY_SECRET]",
        "string door_code = 1",
        "door_code is named like a secret",
    ),
    (
        fields.check,
        "string email = 4 [(kith.options.v1.sensitivity) = SENSITIVITY_PERSONAL]",
        "string email = 4",
        "email is named like personal data",
    ),
    (fields.check, "string colour = 3;", "string colour = 3; bytes given_name = 9;", "given_name is named like personal data"),
    (
        fields.check,
        "message Result { string id = 1; }",
        "message Result { string id = 1; string phone = 2; }",
        "Result.phone is named like personal",
    ),
    (fields.check, "string colour = 3;", 'string colour = 3 [(kith.options.v1.cookie) = {name: "c"}];', "is carried in a cookie"),
    (
        events.check,
        'option (kith.options.v1.event) = {subject: "crm.widget.painted.v1" key: "widget.id"};',
        "",
        "WidgetPainted stands in events.proto",
    ),
    (events.check, "crm.widget.painted.v1", "billing.widget.painted.v1", "is not crm.<noun>.<what happened>.v<N>"),
    (events.check, "crm.widget.painted.v1", "crm.widget.painted", "is not crm.<noun>"),
    (events.check, "crm.widget.painted.v1", "crm.widget.scrapped.v1", "has the subject of kith.crm.v1.WidgetPainted"),
    (events.check, 'key: "widget.id"', 'key: "widget.number"', "the key 'widget.number'"),
    (events.check, 'key: "widget.id"', 'key: "widget.tags"', "the key 'widget.tags'"),
    (events.check, 'key: "widget.id"', 'key: "widget"', "the key 'widget'"),
    (events.check, 'key: "widget.id"', 'key: "widget.email"', "the key 'widget.email' of kith.crm.v1.WidgetPainted is sensitive"),
    (events.check, "bytes sealed = 15;", "", "WidgetPainted holds personal data and has no `bytes sealed = 15`"),
    (events.check, "bytes sealed = 15;", "bytes sealed = 14;", "WidgetPainted holds personal data and has no `bytes sealed = 15`"),
    (
        events.check,
        "string widget_id = 1;",
        "string widget_id = 1; bytes sealed = 15;",
        "WidgetScrapped has a field sealed and holds nothing",
    ),
    (
        events.check,
        'key: "widget.id"',
        'key: "widget.id" permission: PERMISSION_CRM_CONTACTS_WRITE',
        "to holders of PERMISSION_CRM_CONTACTS_W",
    ),
    (events.check, 'key: "widget.id"', 'key: "widget.id" permission: PERMISSION_IDENTITY_MEMBERS_READ', "is no PERMISSION_CRM_..._READ"),
    (events.check, 'key: "widget_id"', 'key: "widget_id" permission: PERMISSION_CRM_CONTACTS_READ', "no resource that could be shown"),
]


@pytest.mark.parametrize("check", [policies.check, shapes.check, routes.check, fields.check], ids=lambda check: check.__module__)
def test_a_good_contract_has_no_fault(plant: Callable[..., Image], check: Check) -> None:
    assert [str(fault) for fault in check(plant())] == []


@pytest.mark.parametrize(("check", "old", "new", "said"), PLANTS, ids=[said for *_, said in PLANTS])
def test_a_planted_fault_is_reported_with_its_line(plant: Callable[..., Image], check: Check, old: str, new: str, said: str) -> None:
    image = plant(old, new)
    before = {fault.what for fault in check(plant())}
    found = [fault for fault in check(image) if fault.what not in before]
    assert len(found) == 1, [str(fault) for fault in found]
    assert said in found[0].what
    file, line = found[0].where.split(":")
    assert file == "protos/kith/crm/v1/events.proto"
    assert int(line) > 1


def test_a_read_may_be_got_under_its_own_verb(plant: Callable[..., Image]) -> None:
    old = 'PaintWidget(PaintWidgetRequest) returns (Widget) {\n    option (google.api.http) = {post: "/v1/widgets/{id}:paint" body: "*"}'
    new = 'PreviewWidget(PaintWidgetRequest) returns (Widget) {\n    option (google.api.http) = {get: "/v1/widgets/{id}:preview"}'
    assert list(shapes.check(plant(old, new))) == []


def test_an_event_elsewhere_than_in_events_proto_is_reported(plant: Callable[..., Image]) -> None:
    said = [fault.what for fault in events.check(plant(name="widgets.proto"))]
    assert said == [f"kith.crm.v1.{name} is an event and does not stand in events.proto" for name in ("WidgetPainted", "WidgetScrapped")]


class Agreed(ErrorReason):
    WIDGET_STUCK = "WIDGET_STUCK"

    @property
    def domain(self) -> str:
        return "crm.kith.dev"


class Foreign(ErrorReason):
    WIDGET_LOST = "WIDGET_LOST"


def test_reasons_that_one_side_does_not_know_are_reported(plant: Callable[..., Image]) -> None:
    image = plant()
    assert list(reasons.check(image, {"kith.crm.v1": Agreed})) == []
    assert [fault.what for fault in reasons.check(image, {"kith.crm.v1": Foreign})] == [
        "WIDGET_STUCK of kith.crm.v1 is missing in services.crm.reasons",
        "WIDGET_LOST of services.crm.reasons is missing in kith.crm.v1.ErrorReason",
        "services.crm.reasons has the domain kith.dev instead of crm.kith.dev",
    ]
    assert [fault.what for fault in reasons.check(image, {})] == ["kith.crm.v1.ErrorReason has no Reason in services.crm.reasons"]
