"""How a warning names a device and a time. It names only what is listed here: a user agent is written by whoever calls."""

import re
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

UNKNOWN: Final = "?"
_BROWSERS: Final = {"Edg": "Edge", "OPR": "Opera", "Firefox": "Firefox", "Chrome": "Chrome", "Safari": "Safari"}
"""Marks of browsers in the order in which they are looked for: the later ones stand in the user agents of the earlier ones too."""
_SYSTEMS: Final = {"Android": "Android", "iPhone": "iOS", "iPad": "iPadOS", "Windows": "Windows", "Mac OS X": "macOS", "Linux": "Linux"}
_PROGRAM: Final = re.compile(r"[A-Za-z][A-Za-z-]{0,30}(?=/)")


def device(user_agent: str) -> str:
    """Return what a user agent is of, such as "Firefox, Linux"; of what is no browser the program's name, in which no link can stand."""
    browser = _first(_BROWSERS, user_agent)
    if browser:
        return ", ".join(filter(None, (browser, _first(_SYSTEMS, user_agent))))
    program = _PROGRAM.match(user_agent)
    return program[0] if program else UNKNOWN


def time(moment: datetime, time_zone: str) -> str:
    """Return a time as its reader's clock shows it, in a form that every language reads."""
    return f"{moment.astimezone(ZoneInfo(time_zone)):%Y-%m-%d %H:%M} ({time_zone})"


def _first(names: dict[str, str], text: str) -> str:
    return next((name for mark, name in names.items() if mark in text), "")
