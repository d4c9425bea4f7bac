"""How a process hears that it shall end."""

import asyncio
import signal


def asked() -> asyncio.Event:
    """Return an event that is set at the first SIGTERM or SIGINT from now on."""
    event = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, event.set)
    return event
