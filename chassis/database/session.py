"""A session: a pipeline that one unit of work has to itself, for a transaction of several round trips."""

import asyncio
from typing import Any, Final, NamedTuple

from psycopg import Error, OperationalError
from sqlalchemy import text

from chassis.database.decoding import Row
from chassis.database.pipeline import Answer, Answers, Pipeline
from chassis.database.setting import ENTER
from chassis.database.statements import Query

BEGIN: Final = Query(text("BEGIN"))
COMMIT: Final = Query(text("COMMIT"))
ROLLBACK: Final = Query(text("ROLLBACK"))

CALM_SECONDS: Final = 0.05  # for a statement that nobody waits for any more, before it is cancelled
ROLLBACK_SECONDS: Final = 5.0


class Question(NamedTuple):
    """A statement that is under way. If it failed, or what was sent with it, its answer raises that, or else the next one that is asked."""

    answered: asyncio.Future[Answers]
    place: int

    async def rows(self) -> list[Row]:
        """Wait for its rows."""
        return (await self.answered).all()[self.place].rows()


class Session:
    """A transaction on a pipeline. What is put goes out with the next question, so that writing takes no round trip of its own."""

    def __init__(self, pipeline: Pipeline, tenant_id: str) -> None:
        self.pipeline = pipeline
        self._begun: list[asyncio.Future[Answers]] = []
        pipeline.put(BEGIN, [])
        if tenant_id:
            self.put(ENTER, {"tenant": tenant_id})

    def put(self, query: Query, values: dict[str, Any]) -> int:
        """Run a statement in its turn; if it fails, the next question does, or the commit."""
        return self.pipeline.put(query, query.parameters(values))

    async def ask(self, query: Query, values: dict[str, Any]) -> Answer:
        """Run a statement; wait for it and for all before it."""
        place = self.put(query, values)
        return self._settled(await self.pipeline.sync())[place]

    def begin(self, query: Query, values: dict[str, Any]) -> Question:
        """Send a statement and all before it, and wait for none of them."""
        place = self.put(query, values)
        self._begun.append(self.pipeline.sync())
        return Question(self._begun[-1], place)

    def commit(self) -> asyncio.Future[Answers]:
        """Ask to keep all."""
        self.put(COMMIT, {})
        return self.pipeline.sync()

    def committed(self, answered: Answers) -> None:
        """Raise what spoke against the commit, if it did not keep all."""
        if self._settled(answered)[-1].tag != b"COMMIT":
            raise OperationalError("the transaction had failed before it was committed")

    async def rollback(self) -> None:
        """Keep nothing. A pipeline that does not come to rest soon is closed, which has the same effect."""
        if self.pipeline.lost:
            return
        try:
            rested = self.pipeline.sync()
            await asyncio.wait([rested], timeout=CALM_SECONDS)
            if rested.done():
                self.pipeline.put(ROLLBACK, [])
                async with asyncio.timeout(ROLLBACK_SECONDS):
                    (await self.pipeline.sync()).all()
            else:
                await self.pipeline.connection.cancel_safe(timeout=ROLLBACK_SECONDS)
                self.pipeline.close()
        except (Error, TimeoutError):
            self.pipeline.close()

    def _settled(self, answered: Answers) -> list[Answer]:
        begun, self._begun = self._begun, []
        for earlier in begun:
            earlier.result().all()  # what failed first tells more than that the transaction had failed
        return answered.all()
