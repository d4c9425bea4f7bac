"""The carrier: unary calls between two processes, many on one long-lived connection (docs/decisions/0033)."""
