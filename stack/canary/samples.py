"""The least of each kind of record that a caller can make."""

from collections.abc import Mapping
from typing import Any, Final

from stack.canary.requests import Json

COMPANY: Final = "kith.crm.v1.Company"
CONTACT: Final = "kith.crm.v1.Contact"
IMPORTS: Final = "kith.crm.v1.ImportService"

SAMPLES: Final[Mapping[str, Json]] = {
    COMPANY: {"name": "Changed"},
    CONTACT: {"givenName": "Changed"},
}
"""What a caller may create, by its message; a new noun adds one line. The first field is a name, which may say anything."""


def named(kind: str, name: str) -> Json:
    """Return the sample of a kind with another name."""
    sample = SAMPLES[kind]
    return {**sample, next(iter(sample)): name}


def imported(name: str) -> dict[str, Any]:
    """Return the upload of a file with one contact, as options of a request."""
    return {
        "params": {"kind": "RECORD_KIND_CONTACT", "fileName": f"{name}.csv"},
        "content": f"Given name\n{name}\n",
        "headers": {"content-type": "text/csv"},
    }
