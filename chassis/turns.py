"""Turns of the event loop: long work has it for some milliseconds at a time, and only when nothing else waits for it.

A call needs the loop several times. Work that takes it for 25 ms in each of its rounds, as imports did, makes 150 ms of a call's 3.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import ContextVar
from time import perf_counter
from typing import Final, TypeVar
from weakref import WeakKeyDictionary

A = TypeVar("A")
B = TypeVar("B")

PART: Final = 50  # rows of one statement: to put their values on the wire takes a millisecond or so, and cannot be interrupted
TURN: Final = 0.002  # seconds
QUIET: Final = 0.0001  # seconds; a round of the loop that takes less had next to nothing to do
PATIENCE: Final = 0.01  # seconds that a turn waits for the loop to be quiet: where it never is, long work still has a sixth of it

_is_long: Final[ContextVar[bool]] = ContextVar("is_long", default=False)


class _Turns:
    """The turns of one loop: all long work shares them, whoever waits longer before the others."""

    def __init__(self) -> None:
        self._line = asyncio.Lock()
        self._until = 0.0

    async def take(self) -> None:
        """Go on while the present turn lasts, else wait for the next one."""
        if perf_counter() >= self._until:
            async with self._line:
                await _quiet()
                self._until = perf_counter() + TURN


_of: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, _Turns]] = WeakKeyDictionary()


def begin_long_work() -> None:
    """Say that what this task does from now on is long, and what the tasks do that it begins."""
    _is_long.set(True)


async def give_way() -> None:
    """Let whatever waits for the loop go first, if this task's work is long. To be asked after each millisecond or less."""
    if _is_long.get():
        loop = asyncio.get_running_loop()
        await (_of.get(loop) or _of.setdefault(loop, _Turns())).take()


async def mapped(make: Callable[[A], B], things: Iterable[A], *, by: int = 1) -> list[B]:
    """Return what is made of each thing, giving way after every so many, but not before the first."""
    if not _is_long.get():
        return list(map(make, things))
    made: list[B] = []
    for thing in things:
        if made and len(made) % by == 0:
            await give_way()
        made.append(make(thing))
    return made


def parts(things: Sequence[A]) -> Iterator[Sequence[A]]:
    """Yield things, so many at a time as one statement takes without holding the loop for long."""
    for start in range(0, len(things), PART):
        yield things[start : start + PART]


async def _quiet() -> None:
    """Return when the loop has nothing else to do, or after some time."""
    now = perf_counter()
    end = now + PATIENCE
    while True:
        before = now
        await asyncio.sleep(0)
        now = perf_counter()
        if now - before < QUIET or now > end:
            return
