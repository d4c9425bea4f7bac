"""What a service that sends mail reads from its environment."""

from dataclasses import dataclass
from email.utils import parseaddr
from enum import StrEnum
from pathlib import Path
from typing import Final

from chassis.environment import Secret, UnfitError, setting

NOBODY: Final = "Kith <no-reply@localhost>"


class Tls(StrEnum):
    """How the connection to the mail server is encrypted."""

    STARTTLS = "starttls"
    IMPLICIT = "implicit"
    NONE = "none"


@dataclass(frozen=True, kw_only=True)
class MailSettings:
    """Settings of a service that sends mail."""

    mail_host: str = setting("", says="Mail server (SMTP); mails go into KITH_MAIL_FOLDER when empty.")
    mail_port: int = setting(587, least=1, most=65535, says="Port of the mail server.")
    mail_tls: Tls = setting(Tls.STARTTLS, says="Encryption: starttls, implicit (usually port 465) or none.")
    mail_user: str = setting("", says="User at the mail server; nobody signs in when empty.")
    mail_password: Secret = setting(Secret(""), says="Password at the mail server.")
    mail_timeout: float = setting(60, above=0, says="Seconds that sending one mail may take.")
    mail_from: str = setting(NOBODY, says='Who mails are from, such as "Kith <no-reply@example.com>".')
    mail_folder: Path | None = setting(None, says="Folder that mails are written to when there is no KITH_MAIL_HOST.")

    def __post_init__(self) -> None:
        if "@" not in parseaddr(self.mail_from)[1] or "\n" in self.mail_from:
            raise UnfitError("mail_from", "must be an address")
        if self.mail_host and self.mail_from == NOBODY:
            raise UnfitError("mail_from", "must be set: a mail server needs an address that mails are from")
        if self.mail_password.reveal() and self.mail_tls is Tls.NONE:
            raise UnfitError("mail_password", "must go over an encrypted connection; set KITH_MAIL_TLS")
        if self.mail_folder is None and not self.mail_host:
            raise UnfitError("mail_folder", "must be set, or KITH_MAIL_HOST to a mail server")
