"""What migrations make with the chassis's columns is the same for ever, and the same that stores declare."""

from typing import Any

from sqlalchemy import BigInteger, Column, MetaData, Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable, PrimaryKeyConstraint, SchemaItem

from chassis.database import tenancy, tenant_table
from chassis.database.columns import moment, reference, resource_columns, word

MADE = """
CREATE TABLE places (
	tenant_id UUID DEFAULT (current_setting('app.tenant_id')::uuid) NOT NULL,
	id UUID NOT NULL,
	version BIGINT NOT NULL,
	create_time TIMESTAMP WITH TIME ZONE NOT NULL,
	update_time TIMESTAMP WITH TIME ZONE NOT NULL,
	name TEXT COLLATE "C" NOT NULL,
	seats BIGINT NOT NULL,
	owner_id UUID,
	opened_at TIMESTAMP WITH TIME ZONE NOT NULL,
	PRIMARY KEY (tenant_id, id)
)
"""  # fmt: skip


def items() -> tuple[SchemaItem, ...]:
    return (*resource_columns(), word("name"), Column("seats", BigInteger, nullable=False), reference("owner_id"), moment("opened_at"))


def ddl(table: Table) -> str:
    text = str(CreateTable(table).compile(dialect=postgresql.dialect()))
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


class Operations:
    """Alembic's operations, as far as they are needed: they write down what was done, and know one answer, the database's name."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def create_table(self, table_name: str, /, *items: SchemaItem) -> None:
        self.done.append(ddl(Table(table_name, MetaData(), *items)))

    def execute(self, sqltext: Any, /) -> Any:
        self.done.append(str(sqltext))
        return self

    def get_bind(self) -> Any:
        return self

    def scalar_one(self) -> str:
        return "kith_calendar"


def test_a_tenants_table_is_made_as_it_is_declared_and_bound_to_the_tenant() -> None:
    op = Operations()
    tenancy.create(op, "places", *items())
    made, *bound = op.done
    assert made == MADE.strip() == ddl(tenant_table("places", MetaData(), *items()))
    assert "ALTER TABLE places FORCE ROW LEVEL SECURITY" in bound
    assert "GRANT SELECT, INSERT, UPDATE, DELETE ON places TO kith_calendar_runtime" in bound
    assert sum(statement.startswith("CREATE POLICY") for statement in bound) == 2


def test_another_key_takes_the_place_of_the_usual_one() -> None:
    table = tenant_table("places", MetaData(), *items(), PrimaryKeyConstraint("tenant_id", "name"))
    assert [column.name for column in table.primary_key] == ["tenant_id", "name"]
