"""Remembers for which release the embedded databases were prepared, so that a start without news skips it."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from stack.layout import write_private
from stack.topology import ROOT, SERVICES


def is_current(mark: Path) -> bool:
    """Say whether the databases are as this release wants them."""
    return mark.exists() and mark.read_text() == _fingerprint()


def remember(mark: Path) -> None:
    """Write down that they are."""
    write_private(mark, _fingerprint())


def migrations(service: str) -> Path:
    """Return the folder of a service's migrations."""
    return ROOT / "services" / service / "migrations"


def _fingerprint() -> str:
    """Return a digest of everything that decides what the databases look like."""
    digest = hashlib.sha256()
    for path in _sources():
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _sources() -> Iterator[Path]:
    yield ROOT / "chassis" / "names.py"
    yield from sorted((ROOT / "chassis" / "database").rglob("*.py"))
    for service in SERVICES:
        yield from sorted(migrations(service.name).rglob("*.py"))
