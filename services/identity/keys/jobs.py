"""Keys turn by the clock."""

from chassis.vault import Vault
from services.identity.keys import actions
from services.identity.keys.keyring import Keyring


class KeyJobs:
    """What is done about keys by the clock; this process reads them again at once, the others within the keyring's time."""

    def __init__(self, vault: Vault, keyring: Keyring) -> None:
        self._vault = vault
        self._keyring = keyring

    async def tend_keys(self) -> None:
        """Make, rotate, re-wrap and delete keys as their times say."""
        await actions.tend(self._vault)
        self._keyring.forget()
