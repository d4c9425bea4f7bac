"""The worker: queues jobs when their time comes and runs them, some side by side, until the process drains."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final, LiteralString, Self

import procrastinate
import psycopg
import stamina
import structlog
from procrastinate.exceptions import ConnectorException, ProcrastinateException

from chassis import clock
from chassis.context import enter_as
from chassis.database import Database
from chassis.database.liveness import ALIVE
from chassis.telemetry import metrics, tracing

CONCURRENCY: Final = 4  # jobs at once in one process
POLL: Final = 1.0  # seconds between two looks for queued jobs; NOTIFY would serialise commits
ATTEMPTS: Final = 3  # of one run; after them the job comes again at its next time
DRAIN_SECONDS: Final = 20.0
CONNECTION_SECONDS: Final = 2.0  # that a statement waits for a connection
PATIENCE: Final = 15.0  # seconds that the end of a job is written again and again while the database is away
LAST_WORDS: Final = 5.0  # seconds that a stopping worker has to say what became of its jobs; if it cannot, another one finds them stalled
PAUSE: Final = 1.0  # seconds before the worker is started again after the database was away
KEPT_HOURS: Final = 7 * 24  # that a failed run stays to be looked at

logging.getLogger("procrastinate").setLevel(
    logging.CRITICAL
)  # it writes errors and arguments into its texts; we log each failure ourselves
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Job:
    """Something to do by the clock: `cron` is in UTC. It must be harmless to do twice."""

    run: Callable[[], Awaitable[None]]
    cron: str

    @property
    def name(self) -> str:
        """Return the function's name, which metrics and logs use."""
        return self.run.__name__


class _Connector(procrastinate.PsycopgConnector):
    """Writes again what met a broken connection: a job that ended and could not say so would hold its lock until it counts as stalled.

    Once the worker is stopping nobody waits for that: the database may never come back.
    """

    def __init__(self, dsn: str, stopping: asyncio.Event) -> None:
        super().__init__(conninfo=dsn, min_size=1, max_size=2, timeout=CONNECTION_SECONDS, kwargs={"prepare_threshold": 0, **ALIVE})
        self._stopping = stopping

    async def execute_query_async(self, query: LiteralString, **arguments: Any) -> None:
        """Run a statement that answers nothing: the end of a job, a heartbeat."""
        async for attempt in stamina.retry_context(self._passes, attempts=None, timeout=PATIENCE, wait_initial=0.1, wait_max=2):
            with attempt:
                await super().execute_query_async(query, **arguments)

    def _passes(self, error: Exception) -> bool:
        return isinstance(error, ConnectorException) and not self._stopping.is_set()


class Jobs:
    """Runs a service's jobs inside its block. `dsn` is the system role's; what a job itself does uses `database`."""

    def __init__(self, jobs: Sequence[Job], *, service: str, database: Database, dsn: str) -> None:
        self._service = service
        self._database = database
        self._stopping = asyncio.Event()
        self._at_work = 0
        self._app = procrastinate.App(connector=_Connector(dsn, self._stopping))
        for job in (*jobs, Job(self.retry_stalled_jobs, "* * * * *"), Job(self.purge_jobs, "17 3 * * *")):
            self._register(job)

    async def __aenter__(self) -> Self:
        self._running = asyncio.create_task(self._work(), name="jobs")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Begin no more, and let running jobs end; one that takes too long is stopped and comes again."""
        self._stopping.set()
        for patience in (LAST_WORDS + (DRAIN_SECONDS if self._at_work else 0), LAST_WORDS):
            self._running.cancel()
            await asyncio.wait([self._running], timeout=patience)

    async def retry_stalled_jobs(self) -> None:
        """Queue jobs again whose process died."""
        for job in await self._app.job_manager.get_stalled_jobs():
            log.warning("job_stalled", job=job.task_name)
            await self._app.job_manager.retry_job(job)

    async def purge_jobs(self) -> None:
        """Forget failed runs that nobody looks at any more; good ones leave nothing."""
        await self._app.job_manager.delete_old_jobs(KEPT_HOURS, include_failed=True, include_cancelled=True, include_aborted=True)

    def _register(self, job: Job) -> None:
        async def run(timestamp: int) -> None:
            del timestamp  # when the clock wanted it; a job does what is due now
            await self._run(job)

        task = self._app.task(name=job.name, queue=self._service, queueing_lock=job.name, lock=job.name, retry=_RETRY)(run)
        self._app.periodic(cron=job.cron)(task)

    async def _work(self) -> None:
        """Keep a worker going, whatever becomes of the database, until it is stopped; even its end may fail there."""
        while not self._stopping.is_set():
            try:
                async with self._app.open_async():
                    await self._app.run_worker_async(
                        queues=[self._service],
                        concurrency=CONCURRENCY,
                        fetch_job_polling_interval=POLL,
                        listen_notify=False,
                        install_signal_handlers=False,
                        shutdown_graceful_timeout=DRAIN_SECONDS,
                        delete_jobs="successful",
                    )
                log.warning("jobs_interrupted")
            except (ProcrastinateException, psycopg.Error, OSError) as error:
                log.warning("jobs_interrupted", error_type=type(error).__name__)
            await asyncio.sleep(PAUSE)

    async def _run(self, job: Job) -> None:
        started = perf_counter()
        error_type = ""
        with tracing.serve(f"job {job.name}", "") as span:
            enter_as(self._service, self._database, origin=job.name)
            self._at_work += 1
            try:
                await job.run()
                metrics.JOB_LAST_SUCCESS.labels(job.name).set(clock.now().timestamp())
            except BaseException as error:
                error_type = type(error).__name__
                log.exception("job_failed", job=job.name)
                raise
            finally:
                self._at_work -= 1
                metrics.JOB_DURATION.labels(job.name, error_type).observe(perf_counter() - started, span.exemplar)


_RETRY: Final = procrastinate.RetryStrategy(max_attempts=ATTEMPTS - 1, exponential_wait=5)
