"""What each service may say and hear on NATS; the subjects come from the contract."""

from typing import Final

from chassis import contract, names
from kith.identity.v1.events_pb2 import SessionEnded
from stack.topology import EDGE, SERVICES, Service

API: Final = "$JS.API"


def permissions(service: Service) -> dict[str, dict[str, list[str]]]:
    """Return the subjects that a service may publish on and subscribe to: its own events, and what it consumes."""
    own = [] if service is EDGE else [names.subjects(service.name), f"{API}.STREAM.INFO.{names.stream(service.name)}"]
    consumed = [subject for source in service.consumes for subject in _durable(names.stream(source), service.name)]
    # Every process hears of ended sessions, by a passing consumer of its own whose name is chance.
    passing = f"{API}.CONSUMER.CREATE.{names.stream('identity')}"
    ended = f"{contract.PREFIX}{contract.event(SessionEnded).subject}.>"
    others = [each.name for each in SERVICES if each is not service]
    return {
        "publish": {
            "allow": [f"{API}.INFO", *own, *consumed, f"{passing}.*.{ended}"],
            "deny": [f"{passing}.{other}.>" for other in others],
        },
        "subscribe": {"allow": [f"{names.inbox(service.name)}.>"]},
    }


def _durable(source: str, name: str) -> list[str]:
    """Return what a durable pull consumer of this name on the stream needs: make, look at, pull from, acknowledge."""
    return [
        f"{API}.STREAM.INFO.{source}",
        f"{API}.CONSUMER.CREATE.{source}.{name}",
        f"{API}.CONSUMER.CREATE.{source}.{name}.>",
        f"{API}.CONSUMER.INFO.{source}.{name}",
        f"{API}.CONSUMER.MSG.NEXT.{source}.{name}",
        f"$JS.ACK.{source}.{name}.>",
    ]
