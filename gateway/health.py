"""Whether the edge lives and may be called, as its own port says it too; the services behind it are told apart."""

from collections.abc import Iterable
from functools import partial
from time import monotonic
from typing import Any, Final

import orjson

from chassis.telemetry.health import Health
from gateway import media
from gateway.contract import Method
from gateway.replies import Reply
from gateway.upstreams import Upstreams

PATIENCE: Final = 3.0  # seconds from its start that an edge waits for services whose routes alone would be missing


class EdgeHealth(Health):
    """Health of an edge: it is ready while the service that signs tokens answers.

    Any other service that is down takes its own routes with it and no others (OPS-22), so it does not make the edge unready. Only at its
    start an edge waits a little for each of them: all come up together then, and the first calls should not meet those that are late.
    """

    def __init__(self, upstreams: Upstreams, methods: Iterable[Method]) -> None:
        super().__init__({name: partial(upstreams.check, name) for name in upstreams.names})
        self._patience_ends = monotonic() + PATIENCE
        self._has_met_all = False
        self._needed = frozenset(method.upstream for method in methods if method.policy.key_set)

    @property
    def ready(self) -> bool:
        """Say whether calls should come here."""
        needed = all(each.up for name, each in self.dependencies.items() if name in self._needed)
        has_waited = self._has_met_all or monotonic() > self._patience_ends
        return self.started and not self.draining and self.alive and needed and has_waited

    async def _check(self, name: str) -> None:
        """Check a service, and note when all of them were met."""
        await super()._check(name)
        self._has_met_all = self._has_met_all or all(each.up for each in self.dependencies.values())

    def livez(self) -> Reply:
        """Answer whether the event loop turns; whoever reads this answer knows it."""
        return _reply({"alive": self.alive}, good=self.alive)

    def readyz(self) -> Reply:
        """Answer whether calls should come here, and what is known about each service."""
        dependencies = {name: {"up": each.up, "needed": name in self._needed} for name, each in self.dependencies.items()}
        return _reply({"ready": self.ready, "draining": self.draining, "dependencies": dependencies}, good=self.ready)


def _reply(body: dict[str, Any], *, good: bool) -> Reply:
    return Reply(200 if good else 503, orjson.dumps(body), [(b"content-type", media.JSON)])
