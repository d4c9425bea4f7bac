"""Messages as JSON Schema, for the OpenAPI document."""

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from chassis.json import kinds
from gateway.contract import Contract

Schema = dict[str, Any]

_INT32: Final[Schema] = {"type": "integer", "format": "int32", "minimum": -(2**31), "maximum": 2**31 - 1}
_UINT32: Final[Schema] = {"type": "integer", "format": "int64", "minimum": 0, "maximum": 2**32 - 1}
_INT64: Final[Schema] = {"type": "string", "format": "int64", "pattern": "^(0|-?[1-9][0-9]{0,18})$"}
_UINT64: Final[Schema] = {"type": "string", "format": "uint64", "pattern": "^(0|[1-9][0-9]{0,19})$"}
_SCALARS: Final[Mapping[int, Schema]] = {
    FieldDescriptor.TYPE_INT32: _INT32,
    FieldDescriptor.TYPE_SINT32: _INT32,
    FieldDescriptor.TYPE_SFIXED32: _INT32,
    FieldDescriptor.TYPE_UINT32: _UINT32,
    FieldDescriptor.TYPE_FIXED32: _UINT32,
    FieldDescriptor.TYPE_INT64: _INT64,
    FieldDescriptor.TYPE_SINT64: _INT64,
    FieldDescriptor.TYPE_SFIXED64: _INT64,
    FieldDescriptor.TYPE_UINT64: _UINT64,
    FieldDescriptor.TYPE_FIXED64: _UINT64,
    FieldDescriptor.TYPE_STRING: {"type": "string"},
    FieldDescriptor.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_DOUBLE: {"type": "number"},
    FieldDescriptor.TYPE_FLOAT: {"type": "number", "format": "float"},
}
_WELL_KNOWN: Final[Mapping[str, Schema]] = {
    kinds.TIMESTAMP: {"type": "string", "format": "date-time"},
    kinds.DURATION: {"type": "string", "pattern": "^-?[0-9]{1,12}(\\.[0-9]{1,9})?s$", "examples": ["1.5s"]},
    kinds.FIELD_MASK: {"type": "string", "description": "Field names with commas between them.", "examples": ["displayName,emails"]},
    kinds.STRUCT: {"type": "object"},
    kinds.VALUE: {},
    kinds.LIST_VALUE: {"type": "array", "items": {}},
    kinds.ANY: {"type": "object", "properties": {"@type": {"type": "string"}}},
}


class Schemas:
    """The component schemas of one document, gathered as they are referred to."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self.components: dict[str, Schema] = {}

    def message(self, descriptor: Descriptor) -> Schema:
        """Return the schema of a message, a reference for all but the well-known types."""
        if kinds.is_wrapper(descriptor):
            return self._value(descriptor.fields_by_name["value"])
        known = _WELL_KNOWN.get(descriptor.full_name)
        if known is not None:
            return dict(known)
        name = self._name(descriptor)
        if name not in self.components:
            self.components[name] = {}
            self.components[name] = self.object(descriptor)
        return {"$ref": f"#/components/schemas/{name}"}

    def object(self, descriptor: Descriptor, *, without: frozenset[str] = frozenset()) -> Schema:
        """Return the schema of a message in place; `without` names fields that stand elsewhere, such as in the path."""
        shown = [field for field in descriptor.fields if field.name not in without]
        found: Schema = {"type": "object", "properties": {field.json_name: self.field(field) for field in shown}}
        required = [field.json_name for field in shown if "REQUIRED" in self._contract.behaviors(field)]
        if required:
            found["required"] = required
        found["additionalProperties"] = False
        return found | self._description(descriptor.full_name)

    def field(self, field: FieldDescriptor) -> Schema:
        """Return the schema of a field with its comment and behaviour."""
        found = self._shape(field) | self._description(field.full_name)
        behaviors = self._contract.behaviors(field)
        if "OUTPUT_ONLY" in behaviors:
            found["readOnly"] = True
        if "INPUT_ONLY" in behaviors:
            found["writeOnly"] = True
        if self._contract.sensitivity(field):
            found["x-kith-sensitivity"] = self._contract.sensitivity(field)
        return found

    def _shape(self, field: FieldDescriptor) -> Schema:
        entry = kinds.map_entry(field)
        if entry is not None:
            return {"type": "object", "additionalProperties": self._value(entry.fields_by_name["value"])}
        one = self._value(field)
        return {"type": "array", "items": one} if field.is_repeated else one

    def _value(self, field: FieldDescriptor) -> Schema:
        if field.message_type is not None:
            return self.message(field.message_type)
        return self._enum(field.enum_type) if field.enum_type is not None else dict(_SCALARS[field.type])

    def _enum(self, enum: EnumDescriptor) -> Schema:
        if enum.full_name == "google.protobuf.NullValue":
            return {"type": "null"}
        name = self._name(enum)
        if name not in self.components:
            meanings = [(value.name, self._contract.comments.get(f"{enum.full_name}.{value.name}", "")) for value in enum.values]
            text = "\n".join([self._contract.comments.get(enum.full_name, ""), *(f"- {comment or value}" for value, comment in meanings)])
            self.components[name] = {"type": "string", "enum": [value for value, _ in meanings], "description": text}
        return {"$ref": f"#/components/schemas/{name}"}

    def _name(self, descriptor: Descriptor | EnumDescriptor) -> str:
        """Return the component's name: `crm.Contact` for kith.crm.v1.Contact, the full name for what is not ours."""
        package = descriptor.file.package
        inner = descriptor.full_name.removeprefix(f"{package}.")
        parts = package.split(".")
        return f"{parts[1]}.{inner}" if parts[0] == "kith" and parts[-1] == "v1" else descriptor.full_name

    def _description(self, full_name: str) -> Schema:
        comment = self._contract.comments.get(full_name)
        return {"description": comment} if comment else {}
