"""The folder that the platform keeps on disk: where each thing lies, and who may read it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

KEPT_LOGS: Final = 3


class InUseError(Exception):
    """Another `kith up` runs on this folder."""


class Layout:
    """Paths below the data folder. Folders are 0700 and files 0600, whatever the umask."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.secrets = data / "secrets"
        self.cluster = data / "postgres"
        self.socket = data / "socket"
        self.nats = data / "nats"
        self.streams = self.nats / "jetstream"
        self.logs = data / "logs"
        self.mail = data / "mail"
        self.state = data / "state.json"
        self.prepared = data / "prepared"
        self.demo = data / "demo.json"

    def create(self) -> None:
        """Make the folders that are missing; folders above the data folder keep their modes."""
        self.data.parent.mkdir(parents=True, exist_ok=True)
        for folder in (self.data, self.secrets, self.nats, self.logs):
            folder.mkdir(mode=0o700, exist_ok=True)

    def log(self, name: str) -> Path:
        """Return the log file of a process."""
        return self.logs / f"{name}.log"

    def rotate_log(self, name: str) -> None:
        """Begin a fresh log; the last few are kept as `.1` (newest) and up."""
        log = self.log(name)
        for age in range(KEPT_LOGS, 0, -1):
            older = log.with_suffix(f".log.{age}")
            newer = log.with_suffix(f".log.{age - 1}") if age > 1 else log
            if newer.exists():
                newer.replace(older)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder for this process; the kernel lets go when the process ends, however it ends. Raises InUseError."""
        with open(self.data / "lock", "w", opener=private) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InUseError(f"the platform already runs in {self.data}; see `kith status`, end it with `kith down`") from None
            yield


def private(path: str, flags: int) -> int:
    """Open a file that only its owner may read: an opener for `open`."""
    return os.open(path, flags, 0o600)


def create_private(path: Path) -> BinaryIO:
    """Open a file for writing that only its owner may read."""
    return open(path, "wb", opener=private)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read; readers see the old content or the new, never half of it."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with open(fresh, "w", opener=private) as file:
        file.write(text)
    fresh.replace(path)
