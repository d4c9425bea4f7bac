"""Proof that an email address belongs to whoever gave it: a mailed link, good once."""
