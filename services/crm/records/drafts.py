"""A change on its way: what is asked for, the record before and after, and the refusal that ended it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic

from chassis.errors import Refusal
from services.crm.records.kinds import R


@dataclass(frozen=True, slots=True)
class Edit(Generic[R]):
    """A wanted change of one record: `change` returns the record as it shall be, or refuses the one that is there."""

    id: str
    etag: str
    change: Callable[[R], R]


@dataclass(slots=True)
class Draft(Generic[R]):
    """A record before and after a change; for a new one, `before` is empty. Many drafts fail each by itself."""

    before: R
    after: R
    refusal: Refusal | None = None

    @property
    def changes(self) -> bool:
        """Say whether there is anything to write."""
        return self.refusal is None and self.after != self.before

    def attempt(self, step: Callable[[R, R], None]) -> None:
        """Take a step with before and after, unless the draft is refused already; the step may refuse it."""
        if self.refusal is None:
            try:
                step(self.before, self.after)
            except Refusal as refusal:
                self.refusal = refusal

    def refuse(self, refusal: Refusal) -> None:
        """End the draft, unless it ended before: the first refusal counts."""
        self.refusal = self.refusal or refusal

    def outcome(self) -> R:
        """Return the record after the change, or raise its refusal."""
        if self.refusal is not None:
            raise self.refusal
        return self.after
