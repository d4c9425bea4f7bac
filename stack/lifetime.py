"""How long `kith up` lives: until it is asked to stop, or until another process ends."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


@contextmanager
def until_asked(ends_with: int | None = None) -> Iterator[None]:
    """Cancel the current task at the first SIGINT or SIGTERM, or when the named process ends; that is its peaceful end."""
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("there is no task to end")
    end = _once(task.cancel)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end)
    with suppress(asyncio.CancelledError), _watching(ends_with, end):
        yield


def _once(do: Callable[[], object]) -> Callable[[], None]:
    """Return what acts on its first call alone: a second Ctrl-C does not break off the orderly stop."""
    left = [do]

    def act() -> None:
        if left:
            left.pop()()

    return act


@contextmanager
def _watching(pid: int | None, end: Callable[[], None]) -> Iterator[None]:
    if pid is None:
        yield
        return
    watched = os.pidfd_open(pid)
    loop = asyncio.get_running_loop()
    loop.add_reader(watched, end)
    try:
        yield
    finally:
        loop.remove_reader(watched)
        os.close(watched)
