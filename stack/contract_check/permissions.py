"""Every permission has a number of its service's blocks and says which built-in roles hold it; blocks do not overlap."""

from collections.abc import Iterator, Sequence
from itertools import combinations

from kith.options.v1 import grants_pb2
from stack.contract_check.fault import Fault
from stack.contract_check.image import Enum, Image


def check(image: Image) -> Iterator[Fault]:
    """Report numbers out of place, and permissions that nobody is granted."""
    enum = image.permission_enum
    blocks = enum.proto.options.Extensions[grants_pb2.block]
    yield from _check_blocks(enum, blocks)
    for value in enum.proto.value:
        if not value.number:
            continue
        if not any(value.name.startswith(_prefix(block)) and block.first <= value.number <= block.last for block in blocks):
            yield Fault(enum.where, f"{value.name} = {value.number} stands in no block of its service")
        if not value.options.Extensions[grants_pb2.grant].lowest:
            yield Fault(enum.where, f"{value.name} does not say which built-in roles hold it")


def _check_blocks(enum: Enum, blocks: Sequence[grants_pb2.Block]) -> Iterator[Fault]:
    for block, other in combinations(blocks, 2):
        if block.first <= other.last and other.first <= block.last:
            yield Fault(enum.where, f"the block of {block.service} from {block.first} overlaps that of {other.service} from {other.first}")


def _prefix(block: grants_pb2.Block) -> str:
    return f"PERMISSION_{block.service.upper()}_"
