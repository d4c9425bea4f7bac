"""The comments of the contract, by the full name of what they describe."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, FileDescriptorProto, ServiceDescriptorProto

_Path = tuple[int, ...]

# Field numbers of descriptor.proto, of which the paths of source_code_info are made.
_FILE_MESSAGE: Final = 4
_FILE_ENUM: Final = 5
_FILE_SERVICE: Final = 6
_MESSAGE_FIELD: Final = 2
_MESSAGE_NESTED: Final = 3
_MESSAGE_ENUM: Final = 4
_ENUM_VALUE: Final = 2
_SERVICE_METHOD: Final = 2


def comments_of(files: Iterable[FileDescriptorProto]) -> Mapping[str, str]:
    """Return the leading comment of every message, field, enum, enum value, service and RPC."""
    return {name: text for file in files for name, text in _file(file)}


def _file(file: FileDescriptorProto) -> Iterator[tuple[str, str]]:
    texts = {tuple(place.path): _plain(place.leading_comments) for place in file.source_code_info.location if place.leading_comments}
    for path, name in _names(file):
        if path in texts:
            yield name, texts[path]


def _plain(comment: str) -> str:
    return " ".join(line.strip() for line in comment.strip().splitlines())


def _names(file: FileDescriptorProto) -> Iterator[tuple[_Path, str]]:
    for index, message in enumerate(file.message_type):
        yield from _message((_FILE_MESSAGE, index), f"{file.package}.{message.name}", message)
    for index, enum in enumerate(file.enum_type):
        yield from _enum((_FILE_ENUM, index), f"{file.package}.{enum.name}", enum)
    for index, service in enumerate(file.service):
        yield from _service((_FILE_SERVICE, index), f"{file.package}.{service.name}", service)


def _message(path: _Path, name: str, message: DescriptorProto) -> Iterator[tuple[_Path, str]]:
    yield path, name
    for index, field in enumerate(message.field):
        yield (*path, _MESSAGE_FIELD, index), f"{name}.{field.name}"
    for index, nested in enumerate(message.nested_type):
        yield from _message((*path, _MESSAGE_NESTED, index), f"{name}.{nested.name}", nested)
    for index, enum in enumerate(message.enum_type):
        yield from _enum((*path, _MESSAGE_ENUM, index), f"{name}.{enum.name}", enum)


def _enum(path: _Path, name: str, enum: EnumDescriptorProto) -> Iterator[tuple[_Path, str]]:
    yield path, name
    for index, value in enumerate(enum.value):
        yield (*path, _ENUM_VALUE, index), f"{name}.{value.name}"


def _service(path: _Path, name: str, service: ServiceDescriptorProto) -> Iterator[tuple[_Path, str]]:
    yield path, name
    for index, method in enumerate(service.method):
        yield (*path, _SERVICE_METHOD, index), f"{name}.{method.name}"
