"""How tokens of verifications are written (ID-1)."""

from typing import Final

from services.identity.mails.tokens import Tokens

TOKENS: Final = Tokens("cev_")
