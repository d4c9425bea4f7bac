"""Search: what records are found by, kept beside them, and the one box that looks there."""
