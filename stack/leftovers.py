"""Ends what an earlier `kith up` left behind when it was killed; nobody else's process is ever touched."""

from contextlib import suppress
from typing import Final

import psutil

from stack.state import State
from stack.waiting import survivors

PEACEFUL_SECONDS: Final = 5.0
"""Children learn of their parent's death from the kernel, so mostly there is only something to wait for."""


def end(state: State) -> list[str]:
    """Wait for the processes of an earlier start to end, ask them, then end them. Return the names of those that had to be asked."""
    stubborn = survivors(state.alive(), PEACEFUL_SECONDS)
    names = [process.name() for process in stubborn]
    for act in (psutil.Process.terminate, psutil.Process.kill):
        for process in stubborn:
            with suppress(psutil.NoSuchProcess):
                act(process)
        stubborn = survivors(stubborn, PEACEFUL_SECONDS)
    return names
