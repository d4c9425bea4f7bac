"""How a file is to be read, where somebody knows better than what would be detected."""

from typing import Any, Final

_TAB: Final = "tab"


def said(encoding: str, delimiter: str, *, no_header: bool) -> dict[str, Any]:
    """Return the body of a call that reads a file anew; empty when nothing is said. The service judges what it holds."""
    body: dict[str, Any] = {}
    if encoding:
        body["encoding"] = f"IMPORT_ENCODING_{encoding.strip().upper().replace('-', '_')}"
    if delimiter:
        body["delimiter"] = "\t" if delimiter.lower() == _TAB else delimiter
    if no_header:
        body["hasHeader"] = False
    return body
