"""Contacts as a FastAPI and SQLAlchemy ORM monolith: one process, no hop, and the duties of a write in one commit.

It is spared some of what Kith does, always in its favour: the tenant is a WHERE clause instead of row-level security, there is no
rate limit, no trace, no relay that empties the outbox, and the fields are checked by pydantic alone.
"""
