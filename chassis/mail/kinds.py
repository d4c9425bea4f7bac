"""Kinds of mail, which a service declares, and one mail of a kind: to whom, in which language, and what its template is filled with."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

import orjson


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of mail: `values` are what its template is filled with beside the link, `lasts` is how long it is worth sending.

    `page` is where the link leads, below the public address; empty for a kind that has none.
    """

    name: str
    page: str
    lasts: timedelta
    values: frozenset[str] = frozenset()

    def mail(self, *, to: str, locale: str, token: str = "", **values: str) -> "Mail":
        """Return a mail of this kind; LookupError unless its values are those of the kind, so that no template misses one later."""
        if values.keys() != self.values:
            raise LookupError(f"a mail of kind {self.name} is filled with {sorted(self.values)}, not with {sorted(values)}")
        return Mail(self, to, locale, token, values)

    def load(self, dumped: bytes) -> "Mail":
        """Return the mail of this kind that was dumped."""
        return Mail(self, **orjson.loads(dumped))


class Mail(NamedTuple):
    """One mail before it is a text. It has a token and no link: links are built of the configured address when it is sent."""

    kind: Kind
    to: str
    locale: str
    token: str
    values: Mapping[str, str]

    def dump(self) -> bytes:
        """Return it as bytes, its kind apart."""
        return orjson.dumps({"to": self.to, "locale": self.locale, "token": self.token, "values": self.values})
