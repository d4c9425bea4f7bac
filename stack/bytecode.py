"""Compiled code of our own modules, written once before any process starts: else each of them compiles the same files at the same time."""

import compileall
from typing import Final

from stack.topology import ROOT

FOLDERS: Final = ("chassis", "gateway", "services", "gen/kith")
SILENT: Final = 2


def write() -> None:
    """Compile what changed, which takes 50 ms where nothing did. Where nothing can be written, each process compiles for itself."""
    for folder in FOLDERS:
        compileall.compile_dir(ROOT / folder, quiet=SILENT)
