"""The garbage collector of a process: what the process is made of is never looked at again."""

import gc
from typing import Final

YOUNG: Final = 20_000
"""New objects after which the collector looks at them. Python's 700 cost an import of contacts a twentieth of its time, for nothing."""


def settle() -> None:
    """Say that the process is up. A full collection walked through all its modules and messages, and held up every call for 190 ms."""
    gc.freeze()
    gc.set_threshold(YOUNG)
