"""What a migration says to bind a table to the tenant of the transaction (row-level security, forced)."""

from typing import Any, Protocol

from sqlalchemy import Connection, text
from sqlalchemy.schema import SchemaItem

from chassis.database.setting import TENANT
from chassis.database.tables import of_tenant

MATCH = f"tenant_id = (SELECT current_setting('{TENANT}')::uuid)"


class Operations(Protocol):
    """What is needed of `alembic.op`, which is a module."""

    def create_table(self, table_name: str, /, *items: SchemaItem) -> Any:
        """Create a table."""

    def execute(self, sqltext: str, /) -> Any:
        """Run a statement."""

    def get_bind(self) -> Connection:
        """Return the connection that migrates."""


def create(op: Operations, name: str, *items: SchemaItem) -> None:
    """Create a table of class tenant as `tenant_table` declares it, bound to the tenant of the transaction."""
    op.create_table(name, *of_tenant(items))
    protect(op, name)


def protect(op: Operations, *tables: str, grants: str = "SELECT, INSERT, UPDATE, DELETE") -> None:
    """Bind tenant tables to the tenant of the transaction and let the runtime role use them.

    The sub-select is evaluated once a statement; the one-argument form of current_setting makes a forgotten tenant an
    error instead of an empty answer. The same rule as a RESTRICTIVE policy stands when somebody adds a permissive one.
    """
    for table in tables:
        bind(op, table)
        op.execute(f"GRANT {grants} ON {table} TO {role(op, 'runtime')}")


def bind(op: Operations, table: str) -> None:
    """Bind a tenant table to the tenant of the transaction, and let nobody use it: a partition is reached by its parent alone."""
    runtime = role(op, "runtime")
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY tenant ON {table} TO {runtime} USING ({MATCH}) WITH CHECK ({MATCH})")
    op.execute(f"CREATE POLICY tenant_only ON {table} AS RESTRICTIVE TO {runtime} USING ({MATCH}) WITH CHECK ({MATCH})")


def grant(op: Operations, *tables: str, grants: str = "SELECT, INSERT, UPDATE, DELETE") -> None:
    """Let the runtime role use tables of class global."""
    for table in tables:
        op.execute(f"GRANT {grants} ON {table} TO {role(op, 'runtime')}")


def open_to_system(op: Operations, table: str, grants: str) -> None:
    """Let the system role (relay, purge) work on a system table across tenants."""
    system = role(op, "system")
    op.execute(f"CREATE POLICY system ON {table} TO {system} USING (true) WITH CHECK (true)")
    op.execute(f"GRANT {grants} ON {table} TO {system}")


def role(op: Operations, name: str) -> str:
    """Return the service's role of that name: roles are named after their database."""
    return f"{op.get_bind().execute(text('SELECT current_database()')).scalar_one()}_{name}"
