"""What every service stands on: contract, database, events, identity and telemetry. It knows no service."""

from chassis import loading as loading
