"""The reasons of a refusal are the same in the contract and in the code that gives them."""

import importlib
from collections.abc import Iterator, Mapping
from typing import Final

from chassis.errors import ErrorReason
from stack.contract_check.fault import Fault
from stack.contract_check.image import Enum, Image

ENUM: Final = "ErrorReason"
PREFIX: Final = "ERROR_REASON_"
COMMON: Final = "kith.common.v1"
PLATFORM: Final = "kith.dev"


def check(image: Image, coded: Mapping[str, type[ErrorReason]] | None = None) -> Iterator[Fault]:
    """Report reasons that only one side knows; `coded` holds the Python enums by package and is imported when it is not given."""
    for enum in image.enums:
        if enum.name != ENUM:
            continue
        reasons = coded.get(enum.package) if coded is not None else _import(enum.package)
        yield from _compare(enum, reasons)


def names(enum: Enum) -> list[str]:
    """Return the reasons of a contract's enum without their prefix, the unspecified one left out."""
    return [value.name.removeprefix(PREFIX) for value in enum.proto.value if value.number]


def module_of(package: str) -> str:
    """Return the module that holds the `Reason` enum of a package."""
    return "chassis.errors" if package == COMMON else f"services.{package.split('.')[1]}.reasons"


def domain_of(package: str) -> str:
    """Return the domain in which the reasons of a package are unique."""
    return PLATFORM if package == COMMON else f"{package.split('.')[1]}.{PLATFORM}"


def _import(package: str) -> type[ErrorReason] | None:
    try:
        reasons: type[ErrorReason] = importlib.import_module(module_of(package)).Reason
    except (ImportError, AttributeError):
        return None
    return reasons


def _compare(enum: Enum, reasons: type[ErrorReason] | None) -> Iterator[Fault]:
    if reasons is None:
        yield Fault(enum.where, f"{enum.package}.{ENUM} has no Reason in {module_of(enum.package)}")
        return
    declared, coded = names(enum), [str(reason) for reason in reasons]
    for name in sorted(set(declared) - set(coded)):
        yield Fault(enum.where, f"{name} of {enum.package} is missing in {module_of(enum.package)}")
    for name in sorted(set(coded) - set(declared)):
        yield Fault(enum.where, f"{name} of {module_of(enum.package)} is missing in {enum.package}.{ENUM}")
    for domain in sorted({reason.domain for reason in reasons} - {domain_of(enum.package)}):
        yield Fault(enum.where, f"{module_of(enum.package)} has the domain {domain} instead of {domain_of(enum.package)}")
