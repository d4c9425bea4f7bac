"""What a service that sends mail reads from its environment."""

from email.utils import parseaddr
from enum import StrEnum
from pathlib import Path
from typing import Final

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

NOBODY: Final = "Kith <no-reply@localhost>"


class Tls(StrEnum):
    """How the connection to the mail server is encrypted."""

    STARTTLS = "starttls"
    IMPLICIT = "implicit"
    NONE = "none"


class MailSettings(BaseSettings):
    """Settings of a service that sends mail."""

    model_config = SettingsConfigDict(env_prefix="KITH_", extra="ignore", frozen=True)

    mail_host: str = Field("", description="Mail server (SMTP); mails go into KITH_MAIL_FOLDER when empty.")
    mail_port: int = Field(587, ge=1, le=65535, description="Port of the mail server.")
    mail_tls: Tls = Field(Tls.STARTTLS, description="Encryption: starttls, implicit (usually port 465) or none.")
    mail_user: str = Field("", description="User at the mail server; nobody signs in when empty.")
    mail_password: SecretStr = Field(SecretStr(""), description="Password at the mail server.")
    mail_timeout: float = Field(60, gt=0, description="Seconds that sending one mail may take.")
    mail_from: str = Field(NOBODY, description='Who mails are from, such as "Kith <no-reply@example.com>".', validate_default=True)
    mail_folder: Path | None = Field(
        None, description="Folder that mails are written to when there is no KITH_MAIL_HOST.", validate_default=True
    )

    @field_validator("mail_from")
    @classmethod
    def _is_an_address(cls, sender: str, others: ValidationInfo) -> str:
        if "@" not in parseaddr(sender)[1] or "\n" in sender:
            raise ValueError("it must be an address")
        if others.data.get("mail_host") and sender == NOBODY:
            raise ValueError("a mail server needs an address that mails are from")
        return sender

    @field_validator("mail_password")
    @classmethod
    def _is_not_sent_in_clear(cls, password: SecretStr, others: ValidationInfo) -> SecretStr:
        if password.get_secret_value() and others.data.get("mail_tls") is Tls.NONE:
            raise ValueError("a password goes over encrypted connections only; set KITH_MAIL_TLS")
        return password

    @field_validator("mail_folder")
    @classmethod
    def _goes_somewhere(cls, folder: Path | None, others: ValidationInfo) -> Path | None:
        if folder is None and not others.data.get("mail_host"):
            raise ValueError("set it, or KITH_MAIL_HOST to a mail server")
        return folder
