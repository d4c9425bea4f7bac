"""SMTP (RFC 5321): one connection while mails wait, encrypted as the settings say."""

import asyncio
import ssl
from email.message import EmailMessage
from typing import Final

from aiosmtplib import SMTP
from aiosmtplib.errors import SMTPException, SMTPNotSupported, SMTPRecipientsRefused, SMTPResponseException, SMTPSenderRefused

from chassis.mail.settings import MailSettings, Tls
from chassis.mail.transport import PutOffError, RefusedError

QUIT_SECONDS: Final = 2.0
FOR_GOOD: Final = 500  # codes from here on are for good (RFC 5321, 4.2.1)


class Smtp:
    """Hands messages to a mail server. What fails before a message is shown to it says nothing about the message."""

    def __init__(self, settings: MailSettings) -> None:
        self._settings = settings
        self._client: SMTP | None = None

    async def send(self, mail_id: str, message: EmailMessage) -> None:
        """Return once the server took the message. If its answer is lost, it may have taken it and gets it again."""
        del mail_id  # the message has it
        try:
            async with asyncio.timeout(self._settings.mail_timeout):
                await _hand_over(await self._connected(), message)
        except PutOffError:
            raise  # the server's answer; the connection is good for the next message
        except (SMTPException, OSError) as error:
            self._drop()
            raise PutOffError(_cause(error)) from None
        except asyncio.CancelledError:
            self._drop()
            raise

    async def rest(self) -> None:
        """Take leave of the server."""
        client, self._client = self._client, None
        if client is not None:
            try:
                await client.quit(timeout=QUIT_SECONDS)
            except (SMTPException, OSError):
                client.close()

    async def _connected(self) -> SMTP:
        if self._client is None or not self._client.is_connected:
            self._client = self._new()
            await self._client.connect()
        return self._client

    def _new(self) -> SMTP:
        settings = self._settings
        return SMTP(
            hostname=settings.mail_host,
            port=settings.mail_port,
            username=settings.mail_user or None,
            password=settings.mail_password.reveal() or None,
            timeout=settings.mail_timeout,
            use_tls=settings.mail_tls is Tls.IMPLICIT,
            start_tls=settings.mail_tls is Tls.STARTTLS,
            tls_context=None if settings.mail_tls is Tls.NONE else ssl.create_default_context(),
        )

    def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()


async def _hand_over(client: SMTP, message: EmailMessage) -> None:
    """Show a message to the server. A sender that it refuses is our affair and may be put right; all else that it refuses for good is."""
    try:
        await client.send_message(message)
    except SMTPSenderRefused:
        raise
    except SMTPResponseException as error:
        raise _answered(error.code) from None
    except SMTPRecipientsRefused as error:
        raise _answered(error.recipients[0].code) from None
    except SMTPNotSupported:
        raise RefusedError("SMTPUTF8") from None
    except ValueError as error:
        raise RefusedError(type(error).__name__) from None


def _answered(code: int) -> PutOffError:
    return RefusedError(str(code)) if code >= FOR_GOOD else PutOffError(str(code))


def _cause(error: BaseException) -> str:
    return str(error.code) if isinstance(error, SMTPResponseException) else type(error).__name__
