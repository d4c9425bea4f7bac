"""The audit trail of an organisation: batches of all services, sealed into one chain, and verified from its beginning."""
