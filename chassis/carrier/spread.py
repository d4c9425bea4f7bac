"""The lanes to all processes of one service: each call takes the one that has least to do."""

import asyncio
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import NoReturn

from chassis.carrier.lane import Lane
from chassis.carrier.lanes import Lanes


class Spread:
    """Lanes to several processes, or to one."""

    def __init__(self, processes: Sequence[Lanes]) -> None:
        self._processes = processes

    @property
    def lane(self) -> Lane | None:
        """Return the open lane with the fewest calls under way, if there is one."""
        if len(self._processes) == 1:
            return self._processes[0].lane
        return min((lane for each in self._processes if (lane := each.lane) is not None), key=attrgetter("load"), default=None)

    async def run(self, token: Callable[[], str]) -> NoReturn:
        """Keep a lane to each process open until cancelled; `token` gives a service token for it."""
        async with asyncio.TaskGroup() as group:
            for each in self._processes:
                group.create_task(each.run(token), name="lanes")
        raise AssertionError
