"""Key pairs with which services sign their tokens; imported only when one is missing."""

import json
from collections.abc import Iterable
from pathlib import Path

from joserfc.jwk import ECKey

from chassis.tokens.service import new_key, public_key_set
from stack.layout import write_private


def make_key(path: Path, service: str) -> None:
    """Write a fresh private key of a service."""
    write_private(path, json.dumps(new_key(service).as_dict(private=True)))


def load_key(path: Path) -> ECKey:
    """Read a private key back."""
    return ECKey.import_key(json.loads(path.read_text()))


def publish(path: Path, private_keys: Iterable[Path]) -> None:
    """Write the public halves of the keys."""
    keys = [load_key(private) for private in private_keys]
    write_private(path, json.dumps(public_key_set(keys)))
