"""The audit trail as evidence: rows become leaves, leaves batches, batches are sealed elsewhere; and all of it is checked here."""
