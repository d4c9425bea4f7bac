"""Members: who belongs to an organisation, kept by events of identity."""
