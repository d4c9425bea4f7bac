"""Remembers for which release the embedded databases and streams were prepared, so that a start without news skips it."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from stack.layout import Layout, write_private
from stack.topology import ROOT, SERVICES


def is_current(layout: Layout) -> bool:
    """Say whether the embedded databases and streams are as this release wants them."""
    mark = layout.prepared
    return layout.streams.exists() and mark.exists() and mark.read_text() == _fingerprint()


def remember(layout: Layout) -> None:
    """Write down that they are."""
    write_private(layout.prepared, _fingerprint())


def migrations(service: str) -> Path:
    """Return the folder of a service's migrations."""
    return ROOT / "services" / service / "migrations"


def _fingerprint() -> str:
    """Return a digest of everything that decides what databases and streams look like."""
    digest = hashlib.sha256()
    for path in _sources():
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _sources() -> Iterator[Path]:
    yield ROOT / "stack" / "prepare.py"
    yield ROOT / "chassis" / "names.py"
    yield ROOT / "chassis" / "events" / "streams.py"
    yield from sorted((ROOT / "chassis" / "database").rglob("*.py"))
    for service in SERVICES:
        yield from sorted(migrations(service.name).rglob("*.py"))
