"""What is wrong with one value of a request, and where it stands."""

from typing import Self

from chassis.errors import ErrorReason, Reason


class Invalid(Exception):
    """A value that the contract does not allow; `field` is its dotted path in proto names, empty for the body itself."""

    def __init__(self, description: str, *, field: str = "", reason: ErrorReason = Reason.FIELD_INVALID) -> None:
        super().__init__(description)
        self.description = description
        self.field = field
        self.reason = reason

    def under(self, name: str) -> Self:
        """Return itself, now seen from the message that holds the field `name`."""
        self.field = f"{name}{self._separator}{self.field}"
        return self

    def at(self, index: int | str) -> Self:
        """Return itself, now seen from the list or map that holds the element."""
        self.field = f"[{index}]{self._separator}{self.field}"
        return self

    @property
    def _separator(self) -> str:
        return "." if self.field and not self.field.startswith("[") else ""
