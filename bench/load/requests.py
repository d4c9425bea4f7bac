"""Requests as bytes, built before the clock runs."""

import json
import random
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

MIX: Final[Mapping[str, int]] = {"get": 70, "list": 20, "post": 10}
"""Shares of the mix, in percent."""


@dataclass(frozen=True)
class Requests:
    """What one system is asked: the same questions, with its own token and ids."""

    host: str
    token: str
    ids: Sequence[str]

    def get(self) -> bytes:
        """Ask for one contact."""
        return self._request("GET", f"/v1/contacts/{random.choice(self.ids)}")

    def list(self) -> bytes:
        """Ask for the first page of 20."""
        return self._request("GET", "/v1/contacts?pageSize=20")

    def page(self, query: str) -> bytes:
        """Ask for the first page of 20 with further parameters."""
        return self._request("GET", f"/v1/contacts?pageSize=20&{query}")

    def search(self) -> bytes:
        """Look for a name."""
        return self._request("GET", f"/v1/search?query={_family(random.randrange(10**6))}")

    def post(self) -> bytes:
        """Add a contact under a key of its own."""
        return self._request("POST", "/v1/contacts", body=json.dumps(contact()).encode())

    def patch(self) -> bytes:
        """Change two fields of a contact under a key of its own."""
        number = random.randrange(10**6)
        body = {"title": f"Buyer {number}", "tags": ["customer", f"wave-{number % 9}"]}
        return self._request("PATCH", f"/v1/contacts/{random.choice(self.ids)}", body=json.dumps(body).encode())

    def stream(self, kind: str) -> Iterator[bytes]:
        """Yield requests of one kind, or of the mix, without end."""
        kinds, weights = (list(MIX), list(MIX.values())) if kind == "mix" else ([kind], [1])
        make = {"get": self.get, "list": self.list, "search": self.search, "post": self.post, "patch": self.patch}
        while True:
            yield make[random.choices(kinds, weights)[0]]()

    def _request(self, verb: str, path: str, body: bytes = b"") -> bytes:
        head = [f"{verb} {path} HTTP/1.1", f"host: {self.host}", f"authorization: Bearer {self.token}"]
        if body:
            head += ["content-type: application/json", f"content-length: {len(body)}", f"idempotency-key: {uuid.uuid4()}"]
        return "\r\n".join([*head, "", ""]).encode() + body


def contact() -> dict[str, object]:
    """Return a contact as a list of some years holds it: an email, a phone, an address, a few tags."""
    number = random.randrange(10**6)
    return {
        "givenName": f"Given{number % 977}",
        "familyName": _family(number),
        "emails": [{"address": f"person{number}@example.com", "label": "work"}],
        "phones": [{"number": f"+44 20 7946 {number % 1000:04}", "label": "work"}],
        "title": "Buyer",
        "department": "Purchasing",
        "source": "fair",
        "address": {"lines": [f"{number % 200} High Street"], "city": "Leeds", "postalCode": "LS1 1AA", "region": "GB"},
        "tags": ["customer", f"wave-{number % 9}"],
    }


def _family(number: int) -> str:
    return f"Family{number % 3571}"
