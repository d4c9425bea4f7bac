"""What every service stands on: contract, database, events, identity and telemetry. It knows no service."""
