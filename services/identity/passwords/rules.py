"""How tokens of resets are written, and how long it is remembered that they were mailed (ID-4)."""

from datetime import timedelta
from typing import Final

from services.identity.mails.tokens import Tokens

TOKENS: Final = Tokens("cpr_")
DAY: Final = timedelta(days=1)
