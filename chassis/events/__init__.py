"""Events: out of the outbox into a stream, out of streams into handlers."""

from chassis.events.broadcast import Broadcast
from chassis.events.broker import Broker
from chassis.events.consumer import Consumer, consumers
from chassis.events.handling import Handler
from chassis.events.relay import Relay

__all__ = ["Broadcast", "Broker", "Consumer", "Handler", "Relay", "consumers"]
