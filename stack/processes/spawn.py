"""Starts one child: leashed to this process, and under another account where the program refuses root."""

import asyncio
import ctypes
import os
import pwd
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from stack.layout import private

# Numbers of linux/prctl.h, linux/securebits.h and linux/capability.h.
PR_SET_PDEATHSIG: Final = 1
PR_SET_KEEPCAPS: Final = 8
PR_SET_SECUREBITS: Final = 28
PR_CAP_AMBIENT: Final = 47
PR_CAP_AMBIENT_RAISE: Final = 2
SECBIT_NO_SETUID_FIXUP: Final = 4
CAPABILITY_VERSION_3: Final = 0x20080522
CAP_DAC_OVERRIDE: Final = 1
CAP_DAC_READ_SEARCH: Final = 2

_libc: Final = ctypes.CDLL(None, use_errno=True)


# A child is forked here, and does something before it becomes another program. gRPC would run handlers of its own in it, which crash it now
# and then while calls are under way: 109 of 500. https://github.com/grpc/grpc/blob/master/doc/fork_support.md
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"


@dataclass(frozen=True)
class Account:
    """An existing account of the operating system, under which a program runs that refuses root."""

    uid: int
    gid: int

    @classmethod
    def for_server(cls, folder: Path) -> "Account | None":
        """Return the account for a server that keeps its data in the folder: None if we are not root and so need none."""
        if os.geteuid() != 0:
            return None
        if folder.exists() and (owner := folder.stat()).st_uid != 0:
            return cls(owner.st_uid, owner.st_gid)
        nobody = pwd.getpwnam("nobody")
        return cls(nobody.pw_uid, nobody.pw_gid)

    def own(self, path: Path) -> None:
        """Give the path to the account."""
        os.chown(path, self.uid, self.gid)


async def spawn(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    log: Path,
    account: Account | None = None,
    death_signal: signal.Signals = signal.SIGTERM,
    cwd: Path,
) -> asyncio.subprocess.Process:
    """Start a child in a session of its own, so that Ctrl-C reaches this process alone and children stop in order."""
    with _appending(log) as output:
        return await asyncio.create_subprocess_exec(
            *argv,
            env=dict(env),
            cwd=cwd,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_in_child(account, death_signal),
        )


def _appending(log: Path) -> BinaryIO:
    return open(log, "ab", opener=private)


def _in_child(account: Account | None, death_signal: signal.Signals) -> Callable[[], None]:
    """Return what the child does between fork and exec; whatever can be looked up is looked up before."""
    capability = _reach() if account else None

    def prepare() -> None:
        if account:
            _become(account, capability)
        if sys.platform == "linux":
            # Set last: a change of account clears it.
            _prctl(PR_SET_PDEATHSIG, death_signal)

    return prepare


def _reach() -> int | None:
    """Return the smallest capability we hold that lets another account walk through folders closed to it, such as root's home."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    held = int(next(line for line in status.read_text().splitlines() if line.startswith("CapEff")).split()[1], 16)
    return next((capability for capability in (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE) if held >> capability & 1), None)


def _become(account: Account, capability: int | None) -> None:
    """Change to the account; keep the one capability across exec (an ambient one), so that no parent folder's mode need change."""
    if capability is not None:
        _prctl(PR_SET_KEEPCAPS, 1)
        # Without this bit access(2), with which initdb looks for its neighbours, knows nothing of capabilities.
        _prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP)
    os.setgroups([])
    os.setgid(account.gid)
    os.setuid(account.uid)
    if capability is not None:
        _keep_alone(capability)


def _keep_alone(capability: int) -> None:
    """Give up every capability but one, and hand that one on to the program. Raises OSError: with the rest it must not run."""
    mask = 1 << capability
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    data = (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)
    if _libc.capset(header, data) != 0:
        raise OSError(ctypes.get_errno(), "capabilities cannot be given up")
    _prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability)


def _prctl(option: int, *arguments: int) -> None:
    """Call prctl(2); where a container forbids one, the program says what it then cannot reach."""
    _libc.prctl(option, *(*arguments, 0, 0, 0)[:4])
