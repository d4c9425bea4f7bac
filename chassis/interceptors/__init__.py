"""What happens around every RPC, in one composed interceptor: telemetry, errors, deadline, identity, policy, idempotency."""
