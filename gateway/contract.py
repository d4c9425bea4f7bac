"""The contract as the edge sees it: RPCs with their policies and HTTP bindings, read from a descriptor set."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.rpc import error_details_pb2

from gateway.comments import comments_of

OPTIONS: Final = "kith.options.v1"
"""Package of the platform's own options."""


@dataclass(frozen=True, slots=True)
class Cookie:
    """Where a browser keeps a field's value: the full cookie name and its life in seconds."""

    name: str
    max_age: int


@dataclass(frozen=True, slots=True)
class Policy:
    """What `kith.options.v1.policy` says about one RPC; names of enum values without their type's prefix."""

    access: str
    permission: str
    tier: str
    idempotency: str
    deadline: float | None
    key_set: bool
    clears_cookie: str
    live_ticket: str


@dataclass(frozen=True, slots=True)
class Binding:
    """One `google.api.http` rule: HTTP method, path template and where body and reply stand in the messages."""

    http_method: str
    template: str
    body: str
    response_body: str


@dataclass(frozen=True, slots=True)
class Method:
    """One RPC that the edge offers."""

    service: str
    name: str
    upstream: str
    input: Descriptor
    output: Descriptor
    client_streaming: bool
    server_streaming: bool
    policy: Policy
    bindings: tuple[Binding, ...]

    @property
    def full_name(self) -> str:
        """Return the name under which the contract's comments know the RPC."""
        return f"{self.service}.{self.name}"

    @property
    def path(self) -> str:
        """Return the path of the RPC on the wire."""
        return f"/{self.service}/{self.name}"


class Contract:
    """A descriptor set in a pool of its own, so that it never meets generated code of the same process."""

    def __init__(self, files: descriptor_pb2.FileDescriptorSet) -> None:
        self.pool = descriptor_pool.DescriptorPool()
        for file in files.file:
            self.pool.Add(file)
        self._add_error_details()
        self.files = tuple(files.file)
        self.comments: Mapping[str, str] = comments_of(files.file)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a descriptor set with imports and source info, as `python -m stack.generate` writes it."""
        return cls(descriptor_pb2.FileDescriptorSet.FromString(path.read_bytes()))

    def _add_error_details(self) -> None:
        """Know the detail messages of google.rpc.Status even when no file imports them: replies may hold them in an Any."""
        try:
            self.pool.FindFileByName(error_details_pb2.DESCRIPTOR.name)
        except KeyError:
            self.pool.AddSerializedFile(error_details_pb2.DESCRIPTOR.serialized_pb)

    @cached_property
    def methods(self) -> tuple[Method, ...]:
        """Return the RPCs that have an HTTP binding and are not internal, in the order of the contract."""
        return tuple(self._methods())

    @cached_property
    def reasons(self) -> Mapping[str, str]:
        """Return the comment of each error reason, by the reason as problem documents carry it."""
        return {
            value.name.removeprefix("ERROR_REASON_"): self.comments.get(f"{enum.full_name}.{value.name}", "").partition(": ")[2]
            for enum in self._reason_enums()
            for value in enum.values
            if value.number
        }

    def message_class(self, descriptor: Descriptor) -> type[Message]:
        """Return the class of a message of this pool."""
        return message_factory.GetMessageClass(descriptor)

    def cookie(self, field: FieldDescriptor) -> Cookie | None:
        """Return the cookie that browsers keep the field in, if any."""
        option = self._option(field, f"{OPTIONS}.cookie")
        return Cookie(f"__Host-{option.name}", option.max_age.seconds) if option else None

    def behaviors(self, field: FieldDescriptor) -> frozenset[str]:
        """Return the names of the field's `google.api.field_behavior`."""
        values = self._option(field, "google.api.field_behavior") or ()
        names = self.pool.FindEnumTypeByName("google.api.FieldBehavior").values_by_number if values else {}
        return frozenset(names[value].name for value in values)

    def sensitivity(self, field: FieldDescriptor) -> str:
        """Return `PERSONAL`, `SECRET` or nothing."""
        number = self._option(field, f"{OPTIONS}.sensitivity")
        return self._enum_name(f"{OPTIONS}.Sensitivity", number) if number else ""

    def _methods(self) -> Iterator[Method]:
        for file in self.files:
            for service in file.service:
                full_name = f"{file.package}.{service.name}"
                for method in self.pool.FindServiceByName(full_name).methods:
                    found = self._method(method, service=full_name, package=file.package)
                    if found:
                        yield found

    def _method(self, method: MethodDescriptor, *, service: str, package: str) -> Method | None:
        rule = self._option(method, "google.api.http")
        policy = self._option(method, f"{OPTIONS}.policy")
        if rule is None:
            return None
        if policy is None or policy.WhichOneof("access") is None:
            raise ValueError(f"{service}.{method.name} has an HTTP binding but no policy that says who may call it")
        if policy.WhichOneof("access") == "internal":
            return None
        return Method(
            service=service,
            name=method.name,
            upstream=upstream_name(package),
            input=method.input_type,
            output=method.output_type,
            client_streaming=method.client_streaming,
            server_streaming=method.server_streaming,
            policy=self._policy(policy),
            bindings=tuple(_binding(each) for each in (rule, *rule.additional_bindings)),
        )

    def _policy(self, option: Any) -> Policy:
        return Policy(
            access=option.WhichOneof("access"),
            permission=self._enum_name(f"{OPTIONS}.Permission", option.permission) if option.permission else "",
            tier=self._enum_name(f"{OPTIONS}.RateTier", option.rate_tier, prefix="RATE_TIER_"),
            idempotency=self._enum_name(f"{OPTIONS}.Idempotency", option.idempotency),
            deadline=option.deadline.ToTimedelta().total_seconds() if option.HasField("deadline") else None,
            key_set=option.key_set,
            clears_cookie=f"__Host-{option.clears_cookie}" if option.clears_cookie else "",
            live_ticket=option.live_ticket,
        )

    def _enum_name(self, enum: str, number: int, prefix: str = "") -> str:
        descriptor = self.pool.FindEnumTypeByName(enum)
        return descriptor.values_by_number[number].name.removeprefix(prefix or f"{descriptor.name.upper()}_")

    def _option(self, descriptor: MethodDescriptor | FieldDescriptor, name: str) -> Any:
        """Return the value of an option, or None when it is not set or the contract does not know it.

        Options are made of the default pool's classes, to which our extensions are unknown bytes; so they are read again with this pool's.
        """
        try:
            extension = self.pool.FindExtensionByName(name)
        except KeyError:
            return None
        kind = self.pool.FindMessageTypeByName(f"google.protobuf.{type(descriptor.GetOptions()).__name__}")
        options: Any = self.message_class(kind).FromString(descriptor.GetOptions().SerializeToString())
        if extension.is_repeated:
            return options.Extensions[extension]
        return options.Extensions[extension] if options.HasExtension(extension) else None

    def _reason_enums(self) -> Iterator[EnumDescriptor]:
        for file in self.files:
            for enum in file.enum_type:
                if enum.name == "ErrorReason":
                    yield self.pool.FindEnumTypeByName(f"{file.package}.{enum.name}")


def upstream_name(package: str) -> str:
    """Return the name of the service that serves a package: `crm` for `kith.crm.v1`."""
    return package.split(".")[-2]


def _binding(rule: Any) -> Binding:
    pattern = rule.WhichOneof("pattern")
    if pattern is None:
        raise ValueError("an HTTP binding without a path")
    method, template = (rule.custom.kind, rule.custom.path) if pattern == "custom" else (pattern.upper(), getattr(rule, pattern))
    return Binding(method, template, rule.body, rule.response_body)
