"""Delivery: takes mails out of the queue and sends them, one after the other, in every process of the service.

It looks by the clock and is not told of commits: when a mail leaves says nothing about how long the call took that it comes from.
"""

import asyncio
from datetime import timedelta
from typing import Final, Self

import psycopg
import structlog

from chassis import clock
from chassis.database.pool import pipeline
from chassis.events.leadership import sleep_unless
from chassis.mail import queue
from chassis.mail.messages import compose
from chassis.mail.queue import Queue, Taken
from chassis.mail.settings import MailSettings
from chassis.mail.templates import Templates
from chassis.mail.transport import PutOffError, RefusedError, Transport
from chassis.telemetry import metrics, tracing
from chassis.vault import Vault, VaultError

LOOK: Final = 1.0  # seconds between two looks into the queue, and after a mail that did not go
TRIES: Final = 12  # some four hours, unless the mail is worth nothing sooner
FIRST_PAUSE: Final = timedelta(seconds=15)  # before the second try, doubled up to
LONGEST_PAUSE: Final = timedelta(hours=1)
LEASE: Final = timedelta(seconds=60)  # that a process keeps a mail beyond the time that sending it may take
DRAIN_SECONDS: Final = 5.0  # that the mail in hand has to go when the process stops; after that it goes later

log = structlog.get_logger()


class Delivery:
    """Runs inside its block. `dsn` is the system role's."""

    def __init__(self, settings: MailSettings, templates: Templates, vault: Vault, *, dsn: str, public_url: str) -> None:
        self._settings = settings
        self._templates = templates
        self._vault = vault
        self._dsn = dsn
        self._public_url = public_url
        self._transport = _transport(settings)
        self._lease = LEASE + timedelta(seconds=settings.mail_timeout)
        self._stopping = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._running = asyncio.create_task(self._work(), name="mail")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let the mail in hand go, and no other."""
        self._stopping.set()
        await asyncio.wait([self._running], timeout=DRAIN_SECONDS)
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)
        await self._transport.rest()

    async def _work(self) -> None:
        """Send what is due until the stop, whatever becomes of the database."""
        while not self._stopping.is_set():
            try:
                async with pipeline(self._dsn) as connection:
                    await self._send_all(Queue(connection))
            except (psycopg.Error, OSError) as error:
                log.warning("mail_interrupted", error_type=type(error).__name__)
            except Exception:
                log.exception("mail_failed")  # a fault of ours; mails that stay silently would be worse
            await sleep_unless(self._stopping, LOOK)

    async def _send_all(self, mails: Queue) -> None:
        while not self._stopping.is_set():
            now = clock.now()
            taken = await mails.take(now, now + self._lease)
            if taken is None or not await self._try(mails, taken):
                await self._transport.rest()
                metrics.MAIL_OLDEST_AGE.set(await mails.age(clock.now()))
                await sleep_unless(self._stopping, LOOK)

    async def _try(self, mails: Queue, taken: Taken) -> bool:
        """Send one mail and settle it; say whether the next one may follow at once."""
        with tracing.serve(f"mail {taken.kind}", ""):
            try:
                await self._send(taken)
            except RefusedError as refusal:
                await self._give_up(mails, taken, refusal.cause)
            except PutOffError as failure:
                await self._put_off(mails, taken, failure.cause)
                return False
            else:
                await mails.delete(taken)
                metrics.MAILS.labels(taken.kind, "sent").inc()
                log.info("mail_sent", mail_id=taken.id, kind=taken.kind)
        return True

    async def _send(self, taken: Taken) -> None:
        if taken.expire_time <= clock.now() or taken.tries > TRIES:
            raise RefusedError("too late")
        kind = self._templates.kinds.get(taken.kind)
        if kind is None:
            raise PutOffError("unknown kind")  # of a newer release, whose processes know it
        try:
            mail = kind.load(await self._vault.open(taken.sealed, queue.purpose(taken.id)))
            text = self._templates.render(mail, self._public_url)
            message = compose(text, mail_id=taken.id, sender=self._settings.mail_from, to=mail.to, written=taken.create_time)
        except (VaultError, ValueError) as error:
            raise RefusedError(type(error).__name__) from None
        await self._transport.send(taken.id, message)

    async def _put_off(self, mails: Queue, taken: Taken, cause: str) -> None:
        again = clock.now() + pause(taken.tries)
        if taken.tries >= TRIES or again >= taken.expire_time:
            await self._give_up(mails, taken, cause)
            return
        await mails.put_off(taken, again)
        metrics.MAILS.labels(taken.kind, "put_off").inc()
        log.warning("mail_put_off", mail_id=taken.id, kind=taken.kind, cause=cause, tries=taken.tries)

    async def _give_up(self, mails: Queue, taken: Taken, cause: str) -> None:
        """Forget a mail that nobody will get: whom it is for must not lie about, nor a token that still opens something."""
        await mails.delete(taken)
        metrics.MAILS.labels(taken.kind, "given_up").inc()
        log.error("mail_given_up", mail_id=taken.id, kind=taken.kind, cause=cause, tries=taken.tries)


def pause(tries: int) -> timedelta:
    """Return how long a mail waits after so many tries."""
    return min(FIRST_PAUSE * (1 << tries - 1), LONGEST_PAUSE)


def _transport(settings: MailSettings) -> Transport:
    """Return the way out that the settings name; its libraries are loaded where it is taken."""
    if settings.mail_host:
        from chassis.mail.smtp import Smtp  # noqa: PLC0415

        return Smtp(settings)
    if settings.mail_folder is None:
        raise LookupError("there is neither a mail server nor a folder for mails")
    from chassis.mail.mailbox import Mailbox  # noqa: PLC0415

    return Mailbox(settings.mail_folder)
