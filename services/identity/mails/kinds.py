"""The kinds of mail that identity sends. A mail whose token ended is worth nothing, so it lasts as long as its token (ID-1, ID-4, ID-5).

A mail to an address that nobody verified quotes nothing that its sender chose, for strangers could be made to read it. An invitation
is the one exception: it names inviter and organisation, without which it could not be told from a trick, and so it goes out only for an
inviter whose own address is verified.
"""

from datetime import timedelta
from importlib import resources
from typing import Final

from chassis.mail import Kind
from chassis.mail.templates import Templates

NEWS: Final = timedelta(days=1)  # for mails that tell of something: later it is history

VERIFY_EMAIL: Final = Kind(name="verify_email", page="verify-email", lasts=timedelta(hours=24))
RESET_PASSWORD: Final = Kind(name="reset_password", page="reset-password", lasts=timedelta(minutes=10))
INVITATION: Final = Kind(
    name="invitation", page="accept-invitation", lasts=timedelta(days=7), values=frozenset({"inviter", "organisation"})
)
NEW_DEVICE: Final = Kind(name="new_device", page="sessions", lasts=NEWS, values=frozenset({"device", "address", "time"}))
SESSION_REUSED: Final = Kind(name="session_reused", page="sessions", lasts=NEWS, values=frozenset({"device", "time"}))
CHANGE_EMAIL: Final = Kind(name="change_email", page="change-email", lasts=timedelta(hours=24))
EMAIL_CHANGED: Final = Kind(name="email_changed", page="", lasts=timedelta(days=7), values=frozenset({"time"}))
PASSWORD_CHANGED: Final = Kind(name="password_changed", page="forgot-password", lasts=NEWS, values=frozenset({"time"}))

LANGUAGES: Final = ("en", "de")
KINDS: Final = (
    VERIFY_EMAIL,
    RESET_PASSWORD,
    INVITATION,
    NEW_DEVICE,
    SESSION_REUSED,
    CHANGE_EMAIL,
    EMAIL_CHANGED,
    PASSWORD_CHANGED,
)


def templates() -> Templates:
    """Return the texts of all kinds."""
    return Templates(resources.files("services.identity.mails") / "texts", KINDS)
