"""The contract as the compiler wrote it: the methods, messages and enums of a descriptor set, each with its options and its line."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

from google.api import annotations_pb2
from google.api.http_pb2 import HttpRule
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
)

from kith.options.v1 import options_pb2, permissions_pb2

OURS: Final = "kith."
# Field numbers inside the descriptors, by which source locations are addressed.
_SERVICE, _METHOD, _MESSAGE, _FIELD, _NESTED, _ENUM, _VALUE = 6, 2, 4, 2, 3, 5, 2


@dataclass(frozen=True, slots=True)
class Binding:
    """One route of a method."""

    verb: str
    path: str
    body: str

    def __str__(self) -> str:
        return f"{self.verb} {self.path}" + (f" body {self.body}" if self.body else "")


@dataclass(frozen=True, slots=True)
class Method:
    """An RPC with what its options say; `policy` is None when it has none."""

    where: str
    package: str
    name: str
    full_name: str
    input: str
    output: str
    policy: options_pb2.Policy | None
    bindings: tuple[Binding, ...]
    client_streams: bool
    server_streams: bool

    @property
    def access(self) -> str | None:
        """Name the kind of access, or None when the policy is silent; a kind that is set to false is silence."""
        kind = self.policy.WhichOneof("access") if self.policy else None
        return kind if kind and getattr(self.policy, kind) else None


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a message."""

    where: str
    proto: FieldDescriptorProto

    @property
    def name(self) -> str:
        """Name in the proto file."""
        return self.proto.name

    @property
    def type_name(self) -> str:
        """Full name of the message or enum that the field holds; empty for scalars."""
        return self.proto.type_name.lstrip(".")

    @property
    def is_text(self) -> bool:
        """Whether the field holds text or bytes."""
        return self.proto.type in {FieldDescriptorProto.TYPE_STRING, FieldDescriptorProto.TYPE_BYTES}

    @property
    def is_repeated(self) -> bool:
        """Whether the field is a list or a map."""
        return self.proto.label == FieldDescriptorProto.LABEL_REPEATED

    @property
    def sensitivity(self) -> int:
        """The declared sensitivity."""
        return self.proto.options.Extensions[options_pb2.sensitivity]

    @property
    def cookie(self) -> options_pb2.Cookie | None:
        """The cookie that carries the field in browsers, if any."""
        options = self.proto.options
        return options.Extensions[options_pb2.cookie] if options.HasExtension(options_pb2.cookie) else None


@dataclass(frozen=True, slots=True)
class Message:
    """A message type with its fields by name; `event` is None unless it is published."""

    where: str
    package: str
    full_name: str
    file: str
    top_level: bool
    fields: Mapping[str, Field]
    event: options_pb2.Event | None


@dataclass(frozen=True, slots=True)
class Enum:
    """A top-level enum with the comments of its values by name."""

    where: str
    package: str
    name: str
    proto: EnumDescriptorProto
    comments: Mapping[str, str]


@dataclass(frozen=True)
class Image:
    """A whole contract."""

    files: tuple[FileDescriptorProto, ...]
    _lines: dict[tuple[str, tuple[int, ...]], int] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> "Image":
        """Read a descriptor set that was written with imports and source info."""
        return cls(tuple(FileDescriptorSet.FromString(path.read_bytes()).file))

    @cached_property
    def methods(self) -> tuple[Method, ...]:
        """Every RPC of ours, in the order of the files."""
        return tuple(
            self._method(file, f"{file.package}.{service.name}", method, (_SERVICE, s, _METHOD, m))
            for file in self._ours()
            for s, service in enumerate(file.service)
            for m, method in enumerate(service.method)
        )

    @cached_property
    def messages(self) -> Mapping[str, Message]:
        """Every message of ours by full name, nested ones too."""
        return {message.full_name: message for file in self._ours() for message in self._messages(file)}

    @cached_property
    def enums(self) -> tuple[Enum, ...]:
        """Every top-level enum of ours."""
        return tuple(
            Enum(self._where(file, (_ENUM, e)), file.package, enum.name, enum, _comments(file, enum, (_ENUM, e, _VALUE)))
            for file in self._ours()
            for e, enum in enumerate(file.enum_type)
        )

    @cached_property
    def permission_enum(self) -> Enum:
        """The enum of all permissions."""
        (found,) = (each for each in self.enums if f"{each.package}.{each.name}" == permissions_pb2.Permission.DESCRIPTOR.full_name)
        return found

    @cached_property
    def permissions(self) -> Mapping[int, str]:
        """Names of the permissions by their numbers."""
        return {value.number: value.name for value in self.permission_enum.proto.value}

    def key_readers(self, package: str) -> frozenset[str]:
        """Return the services that may have the keys to the personal fields of a package's events."""
        files = [file for file in self.files if file.package == package]
        return frozenset(name for file in files for name in file.options.Extensions[options_pb2.key_readers])

    def resolve(self, message: str, path: str) -> Field | None:
        """Follow a dotted path of singular fields from a message; None when it leads nowhere."""
        found: Field | None = None
        for name in path.split("."):
            if message not in self.messages or (found is not None and found.is_repeated):
                return None
            found = self.messages[message].fields.get(name)
            if found is None:
                return None
            message = found.type_name
        return found

    def reachable(self, message: str) -> Iterator[Field]:
        """Yield every field that a message can hold, at any depth."""
        seen: set[str] = set()
        waiting = [message]
        while waiting:
            name = waiting.pop()
            if name in seen or name not in self.messages:
                continue
            seen.add(name)
            for held in self.messages[name].fields.values():
                yield held
                waiting.append(held.type_name)

    def _ours(self) -> Iterator[FileDescriptorProto]:
        return (file for file in self.files if file.package.startswith(OURS))

    def _method(self, file: FileDescriptorProto, service: str, proto: MethodDescriptorProto, path: tuple[int, ...]) -> Method:
        options = proto.options
        rule = options.Extensions[annotations_pb2.http] if options.HasExtension(annotations_pb2.http) else None
        return Method(
            where=self._where(file, path),
            package=file.package,
            name=proto.name,
            full_name=f"{service}.{proto.name}",
            input=proto.input_type.lstrip("."),
            output=proto.output_type.lstrip("."),
            policy=options.Extensions[options_pb2.policy] if options.HasExtension(options_pb2.policy) else None,
            bindings=tuple(_binding(each) for each in (rule, *rule.additional_bindings)) if rule else (),
            client_streams=proto.client_streaming,
            server_streams=proto.server_streaming,
        )

    def _messages(self, file: FileDescriptorProto) -> Iterator[Message]:
        waiting: list[tuple[str, DescriptorProto, tuple[int, ...]]]
        waiting = [(file.package, proto, (_MESSAGE, i)) for i, proto in enumerate(file.message_type)]
        while waiting:
            scope, proto, path = waiting.pop(0)
            full_name = f"{scope}.{proto.name}"
            waiting += [(full_name, nested, (*path, _NESTED, i)) for i, nested in enumerate(proto.nested_type)]
            yield self._message(file, full_name, proto, path)

    def _message(self, file: FileDescriptorProto, full_name: str, proto: DescriptorProto, path: tuple[int, ...]) -> Message:
        options = proto.options
        return Message(
            where=self._where(file, path),
            package=file.package,
            full_name=full_name,
            file=file.name,
            top_level=len(path) == 2,
            fields={each.name: Field(self._where(file, (*path, _FIELD, i)), each) for i, each in enumerate(proto.field)},
            event=options.Extensions[options_pb2.event] if options.HasExtension(options_pb2.event) else None,
        )

    def _where(self, file: FileDescriptorProto, path: tuple[int, ...]) -> str:
        if (file.name, ()) not in self._lines:
            self._lines[file.name, ()] = 1
            self._lines.update({(file.name, tuple(at.path)): at.span[0] + 1 for at in file.source_code_info.location})
        return f"protos/{file.name}:{self._lines.get((file.name, path), 1)}"


def _comments(file: FileDescriptorProto, enum: EnumDescriptorProto, path: tuple[int, ...]) -> Mapping[str, str]:
    said = {tuple(at.path): at.leading_comments for at in file.source_code_info.location}
    return {value.name: said.get((*path, v), "").strip() for v, value in enumerate(enum.value)}


def _binding(rule: HttpRule) -> Binding:
    verb = rule.WhichOneof("pattern")
    if verb == "custom":
        return Binding(rule.custom.kind, rule.custom.path, rule.body)
    return Binding((verb or "").upper(), getattr(rule, verb) if verb else "", rule.body)
