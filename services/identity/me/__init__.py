"""The caller, as they see themselves."""
