"""Calls to other services: in time, with an identity, retried within a budget, and refused at once while they cannot succeed."""

from chassis.clients.clients import Clients

__all__ = ["Clients"]
