"""The carrier: unary calls between two processes, many on one long-lived gRPC stream (docs/decisions/0033)."""
