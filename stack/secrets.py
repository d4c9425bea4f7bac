"""Keys and passwords of one installation: made at the first start, kept in files that only their owner may read."""

import base64
import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stack.layout import write_private

KEY_BYTES: Final = 32
PASSWORD_BYTES: Final = 24


@dataclass(frozen=True)
class Secrets:
    """Where the keys lie, and the passwords by name."""

    folder: Path
    passwords: Mapping[str, str]

    @property
    def master_key(self) -> Path:
        """File of the key that encrypts keys."""
        return self.folder / "master.key"

    @property
    def page_key(self) -> Path:
        """File of the key that signs page tokens."""
        return self.folder / "page.key"

    @property
    def service_keys(self) -> Path:
        """File of the JSON Web Key Set that service tokens are checked against."""
        return self.folder / "services.jwks"

    def service_key(self, service: str) -> Path:
        """File of the private JSON Web Key with which one service signs its tokens."""
        return self.folder / f"{service}.jwk"


def provide(folder: Path, *, services: Iterable[str], passwords: Iterable[str]) -> Secrets:
    """Read what exists and make what is missing."""
    made = Secrets(folder, _provide_passwords(folder / "passwords.json", passwords))
    for path in (made.master_key, made.page_key):
        if not path.exists():
            write_private(path, base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode())
    _provide_service_keys(made, sorted(services))
    return made


def _provide_passwords(path: Path, names: Iterable[str]) -> dict[str, str]:
    known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    missing = [name for name in names if name not in known]
    if missing:
        known |= {name: secrets.token_urlsafe(PASSWORD_BYTES) for name in missing}
        write_private(path, json.dumps(known, indent=2))
    return known


def _provide_service_keys(made: Secrets, services: list[str]) -> None:
    missing = [service for service in services if not made.service_key(service).exists()]
    if not missing and made.service_keys.exists():
        return
    from stack import keys  # noqa: PLC0415 - cryptography's imports are paid at the first start only

    for service in missing:
        keys.make_key(made.service_key(service), service)
    keys.publish(made.service_keys, [made.service_key(service) for service in services])
