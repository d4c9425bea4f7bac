"""A change on its way: what is asked for, the record before and after, and the refusal that ended it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from google.protobuf.message import Message

from chassis.errors import Refusal, Violation, raise_for
from chassis.records.resource import resource

M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True)
class Edit(Generic[M]):
    """A wanted change of one record: `change` returns the record as it shall be, or refuses the one that is there."""

    id: str
    etag: str
    change: Callable[[M], M]


@dataclass(slots=True)
class Draft(Generic[M]):
    """A record before and after a change; for a new one, `before` is empty. Many drafts fail each by itself."""

    before: M
    after: M
    refusal: Refusal | None = None

    @property
    def id(self) -> str:
        """Return the id of the record."""
        return resource(self.after).id

    @property
    def changes(self) -> bool:
        """Say whether there is anything to write."""
        return self.refusal is None and self.after != self.before

    @property
    def kept(self) -> M | None:
        """Return the record after the change, None where it was refused."""
        return self.after if self.refusal is None else None

    def attempt(self, step: Callable[[M, M], None]) -> None:
        """Take a step with before and after, unless the draft is refused already; the step may refuse it."""
        if self.refusal is None:
            try:
                step(self.before, self.after)
            except Refusal as refusal:
                self.refusal = refusal

    def settle(self, tidy: Callable[[M, M], None], check: Callable[[M], Iterable[Violation]]) -> None:
        """Bring the record to the form in which it is kept, and refuse one that breaks a rule."""
        self.attempt(tidy)
        self.attempt(lambda _, after: raise_for(check(after)))

    def refuse(self, refusal: Refusal) -> None:
        """End the draft, unless it ended before: the first refusal counts."""
        self.refusal = self.refusal or refusal

    def outcome(self) -> M:
        """Return the record after the change, or raise its refusal."""
        if self.refusal is not None:
            raise self.refusal
        return self.after
