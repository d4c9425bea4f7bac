"""Mails as they go over the wire: headers, plain text and HTML (RFC 5322, RFC 2046, RFC 3834)."""

from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr

import idna

from chassis.mail.templates import Rendered


def compose(text: Rendered, *, mail_id: str, sender: str, to: str, written: datetime) -> EmailMessage:
    """Return the message. Its id is the mail's, so that one that comes twice can be told by it.

    Raises ValueError for an address or a subject that no header may hold.
    """
    origin = _address(*parseaddr(sender))
    message = EmailMessage(policy=SMTP)
    message["From"] = origin
    message["To"] = _address("", to)
    message["Subject"] = text.subject
    message["Date"] = format_datetime(written)
    message["Message-ID"] = f"<{mail_id}@{origin.domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text.plain)
    message.add_alternative(text.html, subtype="html")
    message["Content-Language"] = text.language
    return message


def _address(name: str, address: str) -> Address:
    """Return an address with its domain as mail servers know it (RFC 5891).

    With letters of other scripts before the @ it needs a server that takes SMTPUTF8 (RFC 6531).
    """
    local, _, domain = address.rpartition("@")
    return Address(name, local, domain if domain.isascii() else idna.encode(domain, uts46=True).decode())
