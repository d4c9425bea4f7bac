"""What is kept about the demo organisation, so that `kith up` can say who may sign in."""

from pathlib import Path
from typing import Self

from pydantic import BaseModel, Field

from stack.layout import write_private


class DemoMember(BaseModel):
    """One person of the demo organisation."""

    role: str
    email: str


class Demo(BaseModel):
    """The demo organisation; everybody has the one password of this installation."""

    organisation: str
    password: str
    members: list[DemoMember]
    complete: bool = Field(default=False)

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """Return what was kept, or None."""
        try:
            return cls.model_validate_json(path.read_text())
        except FileNotFoundError:
            return None

    def save(self, path: Path) -> None:
        """Keep it."""
        write_private(path, self.model_dump_json(indent=2))
