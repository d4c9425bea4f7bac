"""What the edge answers by itself: health, the OpenAPI document and the reference page."""

from collections.abc import Callable, Mapping
from hashlib import sha256
from importlib import resources
from typing import Final

import orjson

from gateway import media
from gateway.health import EdgeHealth
from gateway.replies import Reply

Page = Callable[[], Reply]

_POLICY: Final = (
    (
        b"content-security-policy",
        (
            b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
            b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
    ),
    (b"cache-control", b"no-cache"),
)
_ASSETS: Final = {
    "/docs": ("index.html", b"text/html; charset=utf-8"),
    "/docs/reference.css": ("reference.css", b"text/css; charset=utf-8"),
    "/docs/reference.js": ("reference.js", b"text/javascript; charset=utf-8"),
}


def pages(health: EdgeHealth, openapi: Mapping[str, object]) -> Mapping[str, Page]:
    """Return the pages by path."""
    document = orjson.dumps(openapi)
    found: dict[str, Page] = {
        "/livez": health.livez,
        "/readyz": health.readyz,
        "/healthz": health.readyz,
        "/openapi.json": _fixed(document, media.JSON),
    }
    folder = resources.files("gateway") / "reference"
    for path, (name, kind) in _ASSETS.items():
        found[path] = _fixed((folder / name).read_bytes(), kind)
    return found


def _fixed(body: bytes, kind: bytes) -> Page:
    """Return a page that never changes while the process lives."""
    etag = f'"{sha256(body).hexdigest()[:16]}"'.encode()
    headers = ((b"content-type", kind), (b"etag", etag))
    return lambda: Reply(200, body, list(headers), _POLICY)
