"""What clients and stored data already rely on: a committed table of routes, access, tiers, permissions and subjects that only grows."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from kith.options.v1 import options_pb2
from stack.contract_check.fault import Fault
from stack.contract_check.image import Image, Method

RENEW: Final = "python -m stack.contract_check --write"

# Section -> entry -> what is promised about it.
Table = dict[str, dict[str, object]]


def table(image: Image) -> Table:
    """Return what the contract promises."""
    return {
        "methods": {_grpc_name(method): _promise(image, method) for method in image.methods},
        "permissions": {name: number for number, name in image.permissions.items()},
        "events": {message.full_name: message.event.subject for message in image.messages.values() if message.event},
    }


def read(path: Path) -> Table:
    """Read the committed table; empty when there is none yet."""
    return json.loads(path.read_text()) if path.exists() else {}


def write(path: Path, new: Table) -> None:
    """Write the table so that a change reads well in a diff."""
    path.write_text(json.dumps(new, indent=1, sort_keys=True) + "\n")


def broken(where: str, old: Table, new: Table) -> Iterator[Fault]:
    """Report what was promised and no longer holds."""
    for section, entry, promise in _entries(old):
        now = new.get(section, {}).get(entry)
        if now is None:
            yield Fault(where, f"{section}: {entry} was promised and is gone")
        elif not _keeps(promise, now):
            yield Fault(where, f"{section}: {entry} was {json.dumps(promise)} and is now {json.dumps(now)}")


def unlisted(where: str, old: Table, new: Table) -> Iterator[Fault]:
    """Report what is new and not in the table, so that nothing is promised unseen."""
    for section, entry, promise in _entries(new):
        if entry not in old.get(section, {}):
            yield Fault(where, f"{section}: {entry} is new; run `{RENEW}`")
        elif old[section][entry] != promise and _keeps(old[section][entry], promise):
            yield Fault(where, f"{section}: {entry} has a new route; run `{RENEW}`")


def _entries(of: Table) -> Iterator[tuple[str, str, object]]:
    return ((section, entry, promise) for section, entries in of.items() for entry, promise in entries.items())


def _keeps(promise: object, now: object) -> bool:
    """Tell whether a promise still holds; a method may gain routes."""
    if isinstance(promise, Mapping) and isinstance(now, Mapping):
        return all(_keeps(promise[key], now.get(key)) for key in promise)
    if isinstance(promise, list) and isinstance(now, list):
        return set(promise) <= set(now)
    return promise == now


def _grpc_name(method: Method) -> str:
    return "/".join(method.full_name.rsplit(".", 1))


def _promise(image: Image, method: Method) -> object:
    policy = method.policy or options_pb2.Policy()
    access = image.permissions.get(policy.permission, str(policy.permission)) if method.access == "permission" else method.access
    return {
        "access": access,
        "routes": [str(binding) for binding in method.bindings],
        "tier": options_pb2.RateTier.Name(policy.rate_tier),
    }
