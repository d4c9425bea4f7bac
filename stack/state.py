"""What runs right now, written to a file so that another terminal, or the next start, finds it."""

from pathlib import Path
from typing import Self

import psutil
from pydantic import BaseModel, Field

from stack.layout import write_private
from stack.waiting import is_running


class ProcessId(BaseModel):
    """A process id with its start time: the number alone may meanwhile belong to somebody else."""

    pid: int
    started: float

    @classmethod
    def of(cls, pid: int) -> Self:
        """Read the start time of a process that runs. Raises psutil.NoSuchProcess."""
        return cls(pid=pid, started=psutil.Process(pid).create_time())

    def process(self) -> psutil.Process | None:
        """Return the process if it is still the one that was written down."""
        try:
            process = psutil.Process(self.pid)
        except psutil.NoSuchProcess:
            return None
        return process if process.create_time() == self.started and is_running(process) else None


class Running(BaseModel):
    """One process of the platform."""

    id: ProcessId | None = None
    address: str
    admin: str = ""
    needed: bool = True
    phase: str = "starting"
    ready_seconds: float | None = None
    restarts: int = 0


class State(BaseModel):
    """The whole platform, in the order in which it starts."""

    supervisor: ProcessId
    url: str
    ports: dict[str, int] = Field(default_factory=dict)
    complete: bool = False
    processes: dict[str, Running] = Field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """Return the state that was saved last, or None."""
        try:
            return cls.model_validate_json(path.read_text())
        except (FileNotFoundError, ValueError):
            return None

    def save(self, path: Path) -> None:
        """Write the state down."""
        write_private(path, self.model_dump_json(indent=2))

    @property
    def is_ready(self) -> bool:
        """Say whether everything was started and every process that calls need answers."""
        return self.complete and all(process.phase == "ready" for process in self.processes.values() if process.needed)

    def alive(self) -> list[psutil.Process]:
        """Return the processes that still run, the last started first."""
        found = (running.id.process() for running in reversed(self.processes.values()) if running.id)
        return [process for process in found if process]
