"""The tables of procrastinate, which keeps the jobs of a service: class system, worked on by the system role alone."""

from typing import Final

from sqlalchemy import text

from chassis.database import tenancy
from chassis.database.tenancy import Operations

TABLES: Final = ("procrastinate_jobs", "procrastinate_events", "procrastinate_periodic_defers", "procrastinate_workers")
_TYPES: Final = ("procrastinate_job_to_defer_v1", "procrastinate_job_event_type", "procrastinate_job_status")

_FUNCTIONS: Final = text(
    "SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND proname LIKE 'procrastinate\\_%'"
)
_SEQUENCES: Final = text(
    "SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'S' "
    "AND relname LIKE 'procrastinate\\_%'"
)


def create(op: Operations) -> None:
    """Create them as this release of procrastinate wants them; a later release's changes are migrations of their own."""
    from procrastinate.schema import SchemaManager  # noqa: PLC0415 - migrations alone need it, and the tables' module is everywhere

    connection = op.get_bind()
    # Many statements with percent signs in them: without parameters they go to the server as they stand.
    connection.exec_driver_sql(SchemaManager.get_schema(), execution_options={"no_parameters": True})
    system = tenancy.role(op, "system")
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {', '.join(TABLES)} TO {system}")
    op.execute(f"GRANT USAGE ON SEQUENCE {', '.join(connection.scalars(_SEQUENCES))} TO {system}")
    op.execute(f"GRANT EXECUTE ON FUNCTION {', '.join(connection.scalars(_FUNCTIONS))} TO {system}")


def drop(op: Operations) -> None:
    """Drop them with their functions and types."""
    op.execute(f"DROP TABLE {', '.join(TABLES)} CASCADE")
    for function in op.get_bind().scalars(_FUNCTIONS).all():
        op.execute(f"DROP FUNCTION {function}")
    op.execute(f"DROP TYPE {', '.join(_TYPES)}")
