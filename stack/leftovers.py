"""Ends what an earlier `kith up` left behind when it was killed; nobody else's process is ever touched."""

from typing import Final

import psutil

from stack.state import State

PEACEFUL_SECONDS: Final = 5.0
"""Children learn of their parent's death from the kernel, so mostly there is only something to wait for."""


def end(state: State) -> list[str]:
    """Wait for the processes of an earlier start to end, ask them, then end them. Return the names of those that had to be asked."""
    left = state.alive()
    _, stubborn = psutil.wait_procs(left, timeout=PEACEFUL_SECONDS)
    for process in stubborn:
        process.terminate()
    names = [process.name() for process in stubborn]
    _, lost = psutil.wait_procs(stubborn, timeout=PEACEFUL_SECONDS)
    for process in lost:
        process.kill()
    psutil.wait_procs(lost, timeout=PEACEFUL_SECONDS)
    return names
