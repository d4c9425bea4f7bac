"""The ways in which tenants were made to see each other in trials, tried as the runtime role with an injected statement or expression.

What PostgreSQL lets nobody forbid stays inside: NOTIFY carries no tenant's data, plans and statistics are shown to no client.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg import errors
from psycopg.rows import dict_row

from tests.conftest import Dsn
from tests.platform.conftest import SignUp

RUNTIME = "kith_crm_runtime"


@dataclass(frozen=True)
class Prey:
    """The tenant whose transaction is attacked, and another one whose rows must not be seen."""

    own: str
    other: str
    own_contact: str
    other_contact: str
    other_company: str


@pytest.fixture(scope="module")
async def prey(sign_up: SignUp) -> Prey:
    own, other = await sign_up(), await sign_up()
    own_contact = await own.post("/v1/contacts", {"givenName": "Own"})
    company = await other.post("/v1/companies", {"name": "Other"})
    other_contact = await other.post("/v1/contacts", {"givenName": "Other"})
    return Prey(own.person.tenant_id, other.person.tenant_id, own_contact["id"], other_contact["id"], company["id"])


@pytest.fixture
async def runtime(dsn: Dsn) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    """A connection with the role that a service has; all that it says is prepared, as a service's statements are."""
    options: dict[str, Any] = {"prepare_threshold": 0, "row_factory": dict_row}
    async with await psycopg.AsyncConnection.connect(dsn("crm", "runtime"), **options) as connection:
        yield connection


@asynccontextmanager
async def transaction(runtime: psycopg.AsyncConnection[Any], tenant: str) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    await runtime.execute("SELECT enter_tenant(%s)", [tenant])
    try:
        yield runtime
    finally:
        await runtime.rollback()


# What comes instead of the rows; {other} and its like are filled in from the prey.
REFUSED: list[tuple[str, str]] = [
    ("set_config in an expression", "SELECT set_config('app.tenant_id', '{other}', true), given_name FROM contacts"),
    ("set_config in a common table", "WITH s AS (SELECT set_config('app.tenant_id', '{other}', true)) SELECT * FROM s, contacts"),
    ("the way into a tenant, once more", "SELECT enter_tenant('{other}'), given_name FROM contacts"),
    ("the way into a tenant, in a common table", "WITH s AS (SELECT enter_tenant('{other}')) SELECT * FROM s, contacts"),
    ("the settings view", "UPDATE pg_settings SET setting = '{other}' WHERE name = 'app.tenant_id'"),
    ("text that is run", "SELECT query_to_xml('SELECT * FROM contacts', true, true, '')"),
    ("text that is run by text search", "SELECT * FROM ts_stat('SELECT to_tsvector(given_name) FROM contacts')"),
    ("an anonymous block", "DO $$ BEGIN PERFORM 1; END $$"),
    ("a function of one's own", "CREATE FUNCTION public.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'"),
    ("a temporary function", "CREATE FUNCTION pg_temp.mine() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END'"),
    ("a temporary table", "CREATE TEMP TABLE mine AS SELECT * FROM contacts"),
    ("a table of one's own", "CREATE TABLE public.mine AS SELECT * FROM contacts"),
    ("a view of one's own", "CREATE VIEW public.mine AS SELECT * FROM contacts"),
    ("a materialized view", "CREATE MATERIALIZED VIEW public.mine AS SELECT * FROM contacts"),
    ("a schema of one's own", "CREATE SCHEMA mine"),
    ("the owner's role", "SET ROLE kith_crm_owner"),
    ("the migrator's role", "SET ROLE kith_crm_migrator"),
    ("the definer's role", "SET ROLE kith_crm_definer"),
    ("the superuser's session", "SET SESSION AUTHORIZATION postgres"),
    ("a switch on oneself", f"ALTER ROLE {RUNTIME} BYPASSRLS"),
    ("the policies' switch", "ALTER TABLE contacts DISABLE ROW LEVEL SECURITY"),
    ("a second policy", "CREATE POLICY mine ON contacts USING (true)"),
    ("an emptied table", "TRUNCATE contacts"),
    ("a trigger", "CREATE TRIGGER mine AFTER INSERT ON contacts EXECUTE FUNCTION suppress_redundant_updates_trigger()"),
    ("a rule", "CREATE RULE mine AS ON SELECT TO contacts DO INSTEAD NOTHING"),
    ("a row of another tenant", "INSERT INTO idempotency SELECT '{other}', 'p', 'm', 'k', '', '', now()"),
    ("a row moved to another tenant", "UPDATE contacts SET tenant_id = '{other}' WHERE id = '{own_contact}'"),
    ("a copy from outside", "COPY contacts FROM STDIN"),
    ("a program", "COPY contacts TO PROGRAM 'cat'"),
    ("a file of the server", "SELECT pg_read_file('/etc/hostname')"),
    ("a large object", "SELECT lo_from_bytea(0, 'x')"),
    ("another's session", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"),
    ("the statistics", "SELECT * FROM pg_statistic"),
    ("the passwords", "SELECT * FROM pg_authid"),
    ("the outbox of all", "SELECT * FROM outbox"),
    ("a changed trail", "UPDATE audit_log SET after = NULL"),
    ("a shortened trail", "DELETE FROM audit_log"),
    ("a changed answer", "UPDATE idempotency SET response = ''"),
    ("the events' numbers", "SELECT last_value FROM outbox_seq_seq"),
]  # fmt: skip


@pytest.mark.parametrize("statement", [statement for _, statement in REFUSED], ids=[what for what, _ in REFUSED])
async def test_it_is_refused(runtime: psycopg.AsyncConnection[Any], prey: Prey, statement: str) -> None:
    async with transaction(runtime, prey.own) as connection:
        with pytest.raises((errors.InsufficientPrivilege, errors.FeatureNotSupported)):
            await connection.execute(statement.format(**vars(prey)).encode())


async def test_row_security_cannot_be_left_out(runtime: psycopg.AsyncConnection[Any], prey: Prey) -> None:
    async with transaction(runtime, prey.own) as connection:
        await connection.execute("SET LOCAL row_security = off")
        with pytest.raises(errors.InsufficientPrivilege, match="row-level security"):
            await connection.execute("SELECT * FROM contacts")


NOTHING: list[tuple[str, str]] = [
    ("all rows", "SELECT * FROM contacts WHERE tenant_id <> '{own}'"),
    ("the other's row by its id", "SELECT * FROM contacts WHERE id = '{other_contact}'"),
    ("an always true condition", "SELECT * FROM contacts WHERE (id = '{own_contact}' OR true) AND tenant_id = '{other}'"),
    ("the other's trail", "SELECT * FROM audit_log WHERE tenant_id = '{other}'"),
    ("the other's answers", "SELECT * FROM idempotency WHERE tenant_id = '{other}'"),
    ("a change", "UPDATE contacts SET given_name = 'x' WHERE id = '{other_contact}' RETURNING id"),
    ("a removal", "DELETE FROM contacts WHERE tenant_id = '{other}' RETURNING id"),
    ("a lock", "SELECT id FROM contacts WHERE id = '{other_contact}' FOR UPDATE"),
    ("a merge", "MERGE INTO contacts USING (SELECT '{other_contact}'::uuid x) ON id = x WHEN MATCHED THEN DELETE RETURNING id"),
    ("a common value in the planner's statistics", "SELECT * FROM pg_stats WHERE tablename = 'contacts'"),
    ("a condition that fails on the other's row", "SELECT 1 / (given_name <> 'Other')::int FROM contacts WHERE tenant_id = '{other}'"),
]  # fmt: skip


@pytest.mark.parametrize("statement", [statement for _, statement in NOTHING], ids=[what for what, _ in NOTHING])
async def test_it_finds_nothing(runtime: psycopg.AsyncConnection[Any], prey: Prey, statement: str) -> None:
    async with transaction(runtime, prey.own) as connection:
        cursor = await connection.execute(statement.format(**vars(prey)).encode())
        assert await cursor.fetchall() == []


async def test_one_sees_ones_own(runtime: psycopg.AsyncConnection[Any], prey: Prey) -> None:
    """The attacks above fail for their reason, and not because nothing can be read at all."""
    async with transaction(runtime, prey.own) as connection:
        cursor = await connection.execute("SELECT id FROM contacts")
        assert [str(row["id"]) for row in await cursor.fetchall()] == [prey.own_contact]


@pytest.mark.parametrize("second", ["SET app.tenant_id = '{other}'", "SET LOCAL app.tenant_id = '{other}'", "SELECT 1", "COMMIT"])
async def test_a_second_statement_behind_a_semicolon_is_refused(runtime: psycopg.AsyncConnection[Any], prey: Prey, second: str) -> None:
    async with transaction(runtime, prey.own) as connection:
        with pytest.raises(errors.SyntaxError, match="multiple commands"):
            await connection.execute(f"SELECT given_name FROM contacts; {second.format(**vars(prey))}".encode())


async def test_a_transaction_without_a_tenant_is_an_error(dsn: Dsn, prey: Prey) -> None:
    async with await psycopg.AsyncConnection.connect(dsn("crm", "runtime"), autocommit=True) as connection:
        with pytest.raises(errors.UndefinedObject):  # never set in this session
            await connection.execute("SELECT * FROM contacts")
        async with connection.transaction():
            await connection.execute(f"SET LOCAL app.tenant_id = '{prey.own}'".encode())
        with pytest.raises(errors.InvalidTextRepresentation):  # set before and forgotten now: PostgreSQL keeps ''
            await connection.execute("SELECT * FROM contacts")


async def test_a_connection_forgets_its_tenant(runtime: psycopg.AsyncConnection[Any], prey: Prey) -> None:
    for tenant, contact in [(prey.own, prey.own_contact), (prey.other, prey.other_contact)] * 3:
        async with transaction(runtime, tenant) as connection:
            found = await (await connection.execute("SELECT id FROM contacts")).fetchall()
            assert [str(row["id"]) for row in found] == [contact]


async def test_a_reference_to_another_tenants_row_fails_like_one_to_none(runtime: psycopg.AsyncConnection[Any], prey: Prey) -> None:
    texts = []
    for company in (prey.other_company, "01890000-0000-7000-8000-000000000000"):
        async with transaction(runtime, prey.own) as connection:
            with pytest.raises(errors.ForeignKeyViolation) as refused:
                await connection.execute(f"UPDATE contacts SET company_id = '{company}'".encode())
            texts.append(str(refused.value).replace(company, "").replace(prey.own, ""))
    assert texts[0] == texts[1]


async def test_the_system_role_reads_no_records(dsn: Dsn) -> None:
    async with await psycopg.AsyncConnection.connect(dsn("crm", "system"), autocommit=True) as connection:
        for table in ("contacts", "companies", "members"):  # of the audit log it reads what is masked, to seal it
            with pytest.raises(errors.InsufficientPrivilege):
                await connection.execute(f"SELECT * FROM {table}".encode())


@pytest.mark.parametrize("service", ["identity", "calendar", "billing", "ai"])
async def test_a_role_enters_no_other_services_database(dsn: Dsn, service: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        await psycopg.AsyncConnection.connect(dsn("crm", "runtime"), dbname=f"kith_{service}")
