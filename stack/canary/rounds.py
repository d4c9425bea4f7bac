"""Rounds of probes: every read RPC of the contract with every id of the bait, spread evenly and in an order of chance."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator
from typing import Final

import structlog

from chassis.telemetry import metrics
from stack.canary.answers import Answer, UnansweredError
from stack.canary.bait import Bait, Keeper
from stack.canary.organisation import Organisation
from stack.canary.requests import Probe, is_live, names_ids, probe, reads, rpc, sweep
from stack.canary.samples import SAMPLES
from stack.contract_check.image import Image

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 60.0
MOST_PAGES: Final = 25
"""Pages of one list that are read. The prober has next to nothing, so a longer list is no fault of its own and is told as unanswered."""

log = structlog.get_logger()


class Canary:
    """Lets the prober ask for the keeper's records, and counts."""

    def __init__(self, image: Image, keeper: Organisation, prober: Organisation, *, round_seconds: float) -> None:
        self._image = image
        self._keeper = Keeper(keeper, image)
        self._prober = prober
        self._methods = reads(image)
        self._round_seconds = round_seconds
        self._failures = 0
        for method in self._methods:
            for counter in (metrics.ISOLATION_PROBES, metrics.ISOLATION_BREACHES, metrics.ISOLATION_PROBE_FAILURES):
                counter.labels(rpc(method))  # a series that begins at 0 can be seen to stay there

    async def run(self) -> None:
        """Go round until cancelled."""
        while True:
            if await self.round():
                metrics.ISOLATION_LAST_ROUND.set(time.time())

    async def round(self) -> bool:
        """Make every probe once; say whether every one was answered."""
        try:
            bait = await self._keeper.bait()
        except UnansweredError as error:
            log.warning("isolation_bait_missing", why=str(error))
            await self._back_off(error)
            return False
        asked = list(self._plan(bait))
        random.shuffle(asked)
        answered = [await self._probe(bait, each, self._round_seconds / len(asked)) for each in asked]
        return all(answered)

    def _plan(self, bait: Bait) -> Iterator[Probe]:
        for method in self._methods:
            if not method.name.startswith("BatchGet") and (everything := sweep(self._image, method, bait.beginning)):
                yield everything
            if names_ids(self._image, method) and not is_live(method):
                yield from (probe(self._image, method, each, SAMPLES) for each in bait.of(method))

    async def _probe(self, bait: Bait, asked: Probe, pause: float) -> bool:
        """Ask once, count, and take a rest; say whether there was an answer."""
        name = rpc(asked.method)
        try:
            async for answer in self._answers(bait, asked):
                self._judge(bait, asked, answer)
        except UnansweredError as error:
            metrics.ISOLATION_PROBE_FAILURES.labels(name).inc()
            log.warning("isolation_probe_unanswered", rpc_method=name, why=str(error))
            await self._back_off(error)
            return False
        metrics.ISOLATION_PROBES.labels(name).inc()
        self._failures = 0
        await asyncio.sleep(pause)
        return True

    def _judge(self, bait: Bait, asked: Probe, answer: Answer) -> None:
        """Count and tell what an answer gives away; raise UnansweredError if it gives nothing away and says neither yes nor no."""
        if shown := bait.shown_by(answer, asked):
            name = rpc(asked.method)
            metrics.ISOLATION_BREACHES.labels(name).inc()
            log.error("isolation_breach", rpc_method=name, ids=shown, status=answer.status, probe_request_id=answer.request_id)
        elif not (answer.is_yes or answer.is_no):
            raise answer.unanswered()

    async def _answers(self, bait: Bait, asked: Probe) -> AsyncIterator[Answer]:
        """Yield the answer, and the pages that follow it."""
        query = dict(asked.query)
        for _ in range(MOST_PAGES):
            answer = await self._ask(bait, asked, query)
            yield answer
            token = answer.said.get("nextPageToken") if isinstance(answer.said, dict) else None
            if not token:
                return
            query["pageToken"] = token
        raise UnansweredError("a list without end")

    async def _ask(self, bait: Bait, asked: Probe, query: dict[str, object]) -> Answer:
        """Send a request; while a live stream is open the keeper changes a record."""
        mark = f"{time.time_ns():x}"
        meanwhile = (lambda: self._keeper.touch(bait, mark)) if is_live(asked.method) else None
        return await self._prober.call(asked.verb, asked.path, params=query or None, json=asked.body, meanwhile=meanwhile)

    async def _back_off(self, error: UnansweredError) -> None:
        """Wait as long as the edge asks for, and longer with each failure."""
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2**self._failures)
        self._failures += 1
        await asyncio.sleep(max(pause, error.retry_after))
