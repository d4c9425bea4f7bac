"""The isolation canary: an organisation that keeps asking for another one's records, and counts what it is shown (docs/decisions/0026)."""
