"""PostgreSQL as services see it: statements compiled once, run in a unit of work that is bound to one tenant."""

from chassis.context import NO_TENANT
from chassis.database.decoding import Found, Row
from chassis.database.pool import Database
from chassis.database.session import Question
from chassis.database.statements import Query
from chassis.database.tables import global_table, tenant_table
from chassis.database.work import UnitOfWork, unit_of_work

__all__ = ["NO_TENANT", "Database", "Found", "Query", "Question", "Row", "UnitOfWork", "global_table", "tenant_table", "unit_of_work"]
