"""Alembic's entry for every service: the connection, in its role, comes from `chassis.database.migrate`."""

from alembic import context

# Each step commits by itself, so that a later one that waits for a lock does not undo an earlier one.
context.configure(connection=context.config.attributes["connection"], transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
