"""Small contracts with one planted fault each, compiled on the fly against the real options."""

from collections.abc import Callable
from importlib import resources
from pathlib import Path

import google.api.annotations_pb2
import pytest
from grpc_tools import protoc

from stack.contract_check.image import Image
from stack.generate import ROOT

# A contract without a fault: one noun with its standard methods, and the event of it.
GOOD = """
syntax = "proto3";
package kith.crm.v1;
import "google/api/annotations.proto";
import "google/api/httpbody.proto";
import "google/protobuf/empty.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/timestamp.proto";
import "kith/options/v1/options.proto";

service WidgetService {
  rpc GetWidget(GetWidgetRequest) returns (Widget) {
    option (google.api.http) = {get: "/v1/widgets/{id}"};
    option (kith.options.v1.policy) = {permission: PERMISSION_CRM_CONTACTS_READ rate_tier: RATE_TIER_READ};
  }
  rpc BatchGetWidgets(BatchGetWidgetsRequest) returns (BatchGetWidgetsResponse) {
    option (google.api.http) = {get: "/v1/widgets:batchGet"};
    option (kith.options.v1.policy) = {permission: PERMISSION_CRM_CONTACTS_READ rate_tier: RATE_TIER_READ};
  }
  rpc ListWidgets(ListWidgetsRequest) returns (ListWidgetsResponse) {
    option (google.api.http) = {get: "/v1/widgets"};
    option (kith.options.v1.policy) = {permission: PERMISSION_CRM_CONTACTS_READ rate_tier: RATE_TIER_READ};
  }
  rpc CreateWidget(CreateWidgetRequest) returns (Widget) {
    option (google.api.http) = {post: "/v1/widgets" body: "widget"};
    option (kith.options.v1.policy) = {
      permission: PERMISSION_CRM_CONTACTS_WRITE rate_tier: RATE_TIER_WRITE audit: AUDIT_CHANGE
      idempotency: IDEMPOTENCY_OPTIONAL resource: "widget.id"
    };
  }
  rpc UpdateWidget(UpdateWidgetRequest) returns (Widget) {
    option (google.api.http) = {patch: "/v1/widgets/{widget.id}" body: "widget"};
    option (kith.options.v1.policy) = {
      permission: PERMISSION_CRM_CONTACTS_WRITE rate_tier: RATE_TIER_WRITE audit: AUDIT_CHANGE
      idempotency: IDEMPOTENCY_OPTIONAL resource: "widget.id"
    };
  }
  rpc DeleteWidget(DeleteWidgetRequest) returns (google.protobuf.Empty) {
    option (google.api.http) = {delete: "/v1/widgets/{id}"};
    option (kith.options.v1.policy) = {
      permission: PERMISSION_CRM_CONTACTS_WRITE rate_tier: RATE_TIER_WRITE audit: AUDIT_CHANGE
      idempotency: IDEMPOTENCY_OPTIONAL resource: "id"
    };
  }
  rpc PaintWidget(PaintWidgetRequest) returns (Widget) {
    option (google.api.http) = {post: "/v1/widgets/{id}:paint" body: "*"};
    option (kith.options.v1.policy) = {
      permission: PERMISSION_CRM_CONTACTS_WRITE rate_tier: RATE_TIER_WRITE audit: AUDIT_CALL
      idempotency: IDEMPOTENCY_REQUIRED resource: "id"
    };
  }
  rpc BatchDeleteWidgets(BatchDeleteWidgetsRequest) returns (BatchDeleteWidgetsResponse) {
    option (google.api.http) = {post: "/v1/widgets:batchDelete" body: "*"};
    option (kith.options.v1.policy) = {
      permission: PERMISSION_CRM_CONTACTS_WRITE rate_tier: RATE_TIER_HEAVY audit: AUDIT_CHANGE idempotency: IDEMPOTENCY_OPTIONAL
    };
  }
  rpc OpenWidget(OpenWidgetRequest) returns (OpenWidgetResponse) {
    option (google.api.http) = {post: "/v1/widgets/{id}:open" body: "*"};
    option (kith.options.v1.policy) = {signed_in: true rate_tier: RATE_TIER_AUTH audit: AUDIT_CALL};
  }
  rpc TouchWidget(OpenWidgetRequest) returns (google.protobuf.Empty) {
    option (kith.options.v1.policy) = {
      internal: true rate_tier: RATE_TIER_WRITE audit: AUDIT_CALL idempotency: IDEMPOTENCY_OPTIONAL
    };
  }
  rpc CloseWidget(CloseWidgetRequest) returns (google.protobuf.Empty) {
    option (google.api.http) = {post: "/v1/widgets:close" body: "*"};
    option (kith.options.v1.policy) = {public: true rate_tier: RATE_TIER_AUTH audit: AUDIT_CALL clears_cookie: "wt"};
  }
  rpc GetWidgetSet(google.protobuf.Empty) returns (google.api.HttpBody) {
    option (google.api.http) = {get: "/v1/widgetset"};
    option (kith.options.v1.policy) = {public: true rate_tier: RATE_TIER_ANON key_set: true};
  }
}

message Widget {
  string id = 1;
  string etag = 2;
  string colour = 3;
  string email = 4 [(kith.options.v1.sensitivity) = SENSITIVITY_PERSONAL];
  repeated string tags = 5;
  google.protobuf.Timestamp create_time = 6;
  google.protobuf.Timestamp update_time = 7;
}
message GetWidgetRequest { string id = 1; }
message BatchGetWidgetsRequest { repeated string ids = 1; }
message BatchGetWidgetsResponse { repeated Widget widgets = 1; repeated string missing_ids = 2; }
message ListWidgetsRequest { int32 page_size = 1; string page_token = 2; }
message ListWidgetsResponse { repeated Widget widgets = 1; string next_page_token = 2; }
message CreateWidgetRequest { Widget widget = 1; bool validate_only = 2; }
message UpdateWidgetRequest { Widget widget = 1; google.protobuf.FieldMask update_mask = 2; }
message DeleteWidgetRequest { string id = 1; string etag = 2; }
message PaintWidgetRequest { string id = 1; string colour = 2; }
message BatchDeleteWidgetsRequest { repeated DeleteWidgetRequest requests = 1; }
message BatchDeleteWidgetsResponse {
  repeated Result results = 1;
  message Result { string id = 1; }
}
message OpenWidgetRequest { string id = 1; }
message OpenWidgetResponse { string door_code = 1 [(kith.options.v1.sensitivity) = SENSITIVITY_SECRET]; }
message CloseWidgetRequest {
  string widget_token = 1 [(kith.options.v1.sensitivity) = SENSITIVITY_SECRET, (kith.options.v1.cookie) = {name: "wt"}];
}
message WidgetPainted {
  option (kith.options.v1.event) = {subject: "crm.widget.painted.v1" key: "widget.id"};
  Widget widget = 1;
  bytes sealed = 15;
}
message WidgetScrapped {
  option (kith.options.v1.event) = {subject: "crm.widget.scrapped.v1" key: "widget_id"};
  string widget_id = 1;
}
enum ErrorReason {
  ERROR_REASON_UNSPECIFIED = 0;
  ERROR_REASON_WIDGET_STUCK = 1;
}
"""

Plant = Callable[..., Image]


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    """Return a compiler of the good contract with one text replaced by another, as a file of the given name."""

    def compiled(old: str = "", new: str = "", *, name: str = "events.proto") -> Image:
        assert old in GOOD, "the plant's place is gone from the good contract"
        file = tmp_path / "kith" / "crm" / "v1" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(GOOD.replace(old, new, 1) if old else GOOD)
        image = tmp_path / "image.binpb"
        googleapis = Path(google.api.annotations_pb2.__file__).parents[2]
        includes = [tmp_path, ROOT / "protos", resources.files("grpc_tools") / "_proto", googleapis]
        flags = ["--include_imports", "--include_source_info", f"--descriptor_set_out={image}"]
        assert protoc.main(["protoc", *(f"-I{path}" for path in includes), *flags, str(file)]) == 0
        return Image.read(image)

    return compiled
