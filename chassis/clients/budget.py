"""A retry budget: retries may add so much to the load and no more, so that they do not keep a struggling target down."""

from typing import Final

SHARE: Final = 0.1  # retries for each call
RESERVE: Final = 10.0  # retries saved up at the most, so that a quiet client may retry too


class Budget:
    """A bucket that each call fills by a share and each retry empties by one."""

    def __init__(self) -> None:
        self._tokens = RESERVE

    def called(self) -> None:
        """Count a call's first attempt."""
        self._tokens = min(self._tokens + SHARE, RESERVE)

    def spend(self) -> bool:
        """Say whether a retry is allowed, and count it."""
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
