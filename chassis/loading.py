"""How a process loads its modules, said before the first of them: fewer looks of the garbage collector, nothing that only stands about."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

YOUNG: Final = 1_000_000
"""New objects after which the collector looks at them until the process is up, which makes less: modules are no garbage. 700 cost a start
100 ms; 200,000, which crm came to, once 75 ms for the 3,600 objects that it found."""


@contextmanager
def absent(*packages: str) -> Iterator[None]:
    """Let what is imported inside the block find that these packages are not installed; what is loaded already stays."""
    hidden = [each for each in packages if each not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None is how the import system knows what cannot be imported
    try:
        yield
    finally:
        for each in hidden:
            del sys.modules[each]


gc.set_threshold(YOUNG)

with absent("greenlet", "rich"):  # a switch between stacks that nobody makes; 50 modules and 60 ms for a console that nobody looks at
    import structlog  # noqa: F401 - it is loaded here so that whoever imports it finds it
