"""Who belongs to an organisation, and as what."""
