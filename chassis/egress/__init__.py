"""Requests to addresses that users name: never to a network that is not the public internet, never without bounds."""

from chassis.egress.client import Egress
from chassis.egress.exchange import Answer, Method, Streamed
from chassis.egress.networks import Address, Networks
from chassis.egress.resolving import Dns, Resolver
from chassis.egress.settings import EgressSettings
from chassis.egress.uses import Use

__all__ = ["Address", "Answer", "Dns", "Egress", "EgressSettings", "Method", "Networks", "Resolver", "Streamed", "Use"]
