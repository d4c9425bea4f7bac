"""Who reads now, by organisation."""

from collections.abc import Collection, Iterator, Set
from typing import Final

from chassis.telemetry import metrics
from gateway.live.reader import Reader

_NOBODY: Final[Collection[Reader]] = ()


class Readers:
    """The open streams of this process."""

    def __init__(self) -> None:
        self._by_tenant: dict[str, set[Reader]] = {}

    def __iter__(self) -> Iterator[Reader]:
        """Go through all that read at this moment, whoever leaves meanwhile."""
        return iter([reader for readers in self._by_tenant.values() for reader in readers])

    @property
    def tenants(self) -> Set[str]:
        """Return the organisations that somebody reads."""
        return self._by_tenant.keys()

    def of(self, tenant_id: str) -> Collection[Reader]:
        """Return the readers of an organisation."""
        return self._by_tenant.get(tenant_id, _NOBODY)

    def add(self, reader: Reader) -> None:
        """Take a reader in."""
        self._by_tenant.setdefault(reader.admission.tenant_id, set()).add(reader)
        metrics.LIVE_STREAMS.inc()

    def remove(self, reader: Reader) -> None:
        """Forget a reader."""
        readers = self._by_tenant[reader.admission.tenant_id]
        readers.remove(reader)
        if not readers:
            del self._by_tenant[reader.admission.tenant_id]
        metrics.LIVE_STREAMS.dec()
