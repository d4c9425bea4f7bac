"""Whose certificates are believed: the public authorities that Mozilla believes, and those that the operator adds."""

import ssl
from pathlib import Path

import certifi


def trust(more: Path | None = None) -> ssl.SSLContext:
    """Return what checks certificates and names; `more` is a PEM file of the operator's own authorities."""
    context = ssl.create_default_context(cafile=certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    if more is not None:
        context.load_verify_locations(cafile=more)
    return context
