"""What each service may say and hear on NATS; the subjects come from the contract."""

from typing import Final

from chassis import contract, names
from kith.identity.v1.events_pb2 import SessionEnded
from stack.topology import EDGE, SERVICES, Service

API: Final = "$JS.API"


def permissions(service: Service) -> dict[str, dict[str, list[str]]]:
    """Return the subjects that a service may publish on and subscribe to: its own events, and what it consumes."""
    own = [names.subjects(service.name), f"{API}.STREAM.INFO.{names.stream(service.name)}"]
    live = [subject for source in _live_sources() for subject in _live(source)] if service is EDGE else []
    sources = [names.stream(source) for source in service.consumes]
    consumed = [subject for source in sources for subject in (*_durable(source, service.name), *_rereader(source, service.name))]
    # Every process hears of ended sessions, by a passing consumer of its own whose name is chance.
    passing = f"{API}.CONSUMER.CREATE.{names.stream('identity')}"
    ended = f"{contract.PREFIX}{contract.event(SessionEnded).subject}.>"
    limits = [names.LIMITS] if service is EDGE else []
    others = [each.name for each in SERVICES if each is not service]
    foreign = [subject for source in _live_sources() for subject in _durables(source)] if service is EDGE else []
    return {
        "publish": {
            "allow": [f"{API}.INFO", *own, *consumed, *live, *limits, f"{passing}.*.{ended}"],
            "deny": [*(f"{passing}.{other}.>" for other in others), *foreign],
        },
        "subscribe": {"allow": [f"{names.inbox(service.name)}.>", *limits]},
    }


def _live_sources() -> list[str]:
    """Return the services of whose events some are shown live."""
    return sorted({event.service for event in contract.live_events()})


def _live(source: str) -> list[str]:
    """Return what the edge needs to read a service's stream as it grows, for those who read now, and what its readers missed."""
    stream = names.stream(source)
    return [
        f"{API}.STREAM.INFO.{stream}",
        f"{API}.CONSUMER.CREATE.{stream}.*",
        f"{API}.DIRECT.GET.{stream}",
    ]


def _durables(source: str) -> list[str]:
    """Return what the edge must not make on a stream that it may make consumers of: those of services, which have their names."""
    return [f"{API}.CONSUMER.CREATE.{names.stream(source)}.{name}" for each in SERVICES for name in (each.name, names.rereader(each.name))]


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


def _rereader(source: str, service: str) -> list[str]:
    """Return what a service needs of the consumer that an operator makes for a replay: look at, pull from, acknowledge, take away."""
    name = names.rereader(service)
    return [
        f"{API}.CONSUMER.INFO.{source}.{name}",
        f"{API}.CONSUMER.MSG.NEXT.{source}.{name}",
        f"{API}.CONSUMER.DELETE.{source}.{name}",
        f"$JS.ACK.{source}.{name}.>",
    ]
