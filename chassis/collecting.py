"""The garbage collector of a process: what the process is made of is never looked at again."""

import gc


def settle() -> None:
    """Say that the process is up. A full collection walked through all its modules and messages, and held up every call for 190 ms."""
    gc.freeze()
