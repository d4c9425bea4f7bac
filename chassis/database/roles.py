"""The five roles of a service's database and what none of them may do (reference/identity.md 3.8).

Run by an administrator at deploy time, as often as one likes; no service ever holds the administrator's password.
"""

from collections.abc import Mapping
from typing import Any, Final, LiteralString

from psycopg import AsyncConnection
from psycopg.sql import SQL, Composed, Identifier, Literal

from chassis import names
from chassis.database import claim, setting

MINIMUM_VERSION: Final = 180_000

SEARCH_PATH: Final = "public, pg_temp"
"""Named last, temporary tables cannot take the place of ours."""

LIMITS: Final[Mapping[str, Mapping[str, str]]] = {
    "migrator": {"statement_timeout": "0", "lock_timeout": "3s", "idle_in_transaction_session_timeout": "60s"},
    "runtime": {"statement_timeout": "15s", "lock_timeout": "5s", "idle_in_transaction_session_timeout": "15s"},
    "system": {"statement_timeout": "60s", "lock_timeout": "5s", "idle_in_transaction_session_timeout": "30s"},
}
"""Roles that sign in, and how long each may hold things up."""

ATTRIBUTES: Final[Mapping[str, LiteralString]] = {
    "owner": "NOLOGIN NOBYPASSRLS",
    "migrator": "LOGIN BYPASSRLS",
    "runtime": "LOGIN NOBYPASSRLS",
    "system": "LOGIN NOBYPASSRLS",
    "definer": "NOLOGIN BYPASSRLS",
}

FORBIDDEN_FUNCTIONS: Final = r"""
    SELECT oid::regprocedure::text FROM pg_proc
    WHERE pronamespace = 'pg_catalog'::regnamespace
      AND (proname ~ '^(lo_.*|loread|lowrite|(query|cursor|table|schema|database)_to_xml.*)$'
           OR proname IN ('set_config', 'ts_stat', 'pg_cancel_backend', 'pg_terminate_backend')
           OR oid = 'ts_rewrite(tsquery, text)'::regprocedure)
"""
"""What an injected expression could change the tenant with, hide data in, run a statement by, or disturb others with."""


class UnsupportedServerError(Exception):
    """The server is older than what our tables and roles need."""


async def bootstrap(admin_dsn: str, service: str, passwords: Mapping[str, str]) -> None:
    """Make a service's roles and database, or bring them to what is said here. Raises UnsupportedServerError."""
    async with await AsyncConnection.connect(admin_dsn, autocommit=True) as admin:
        if admin.info.server_version < MINIMUM_VERSION:
            raise UnsupportedServerError(f"PostgreSQL 18 is needed, this is {admin.info.server_version // 10_000}")
        await _make_roles(admin, service, passwords)
        await _make_database(admin, service)
    async with await AsyncConnection.connect(admin_dsn, dbname=names.database(service)) as admin:
        for statement in _inside(service):
            await admin.execute(statement)
        await _forbid_functions(admin, service)
        await _open_tenants(admin, service)


async def _make_roles(admin: AsyncConnection[Any], service: str, passwords: Mapping[str, str]) -> None:
    for role, attributes in ATTRIBUTES.items():
        name = names.role(service, role)
        found = await admin.execute("SELECT FROM pg_roles WHERE rolname = %s", [name])
        verb = SQL("ALTER" if found.rowcount else "CREATE")
        await admin.execute(
            SQL("{} ROLE {} NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION {}").format(verb, Identifier(name), SQL(attributes))
        )
        if role in LIMITS:
            # The server is told a verifier, so that no log of it ever holds the password.
            verifier = admin.pgconn.encrypt_password(passwords[name].encode(), name.encode(), b"scram-sha-256").decode()
            await admin.execute(SQL("ALTER ROLE {} PASSWORD {}").format(Identifier(name), Literal(verifier)))
    for granted, member, inherits in (("owner", "migrator", "TRUE"), ("definer", "migrator", "FALSE"), ("definer", "owner", "FALSE")):
        statement = SQL("GRANT {} TO {} WITH INHERIT {}, SET TRUE")
        await admin.execute(
            statement.format(Identifier(names.role(service, granted)), Identifier(names.role(service, member)), SQL(inherits))
        )


async def _make_database(admin: AsyncConnection[Any], service: str) -> None:
    found = await admin.execute("SELECT FROM pg_database WHERE datname = %s", [names.database(service)])
    if found.rowcount:
        return
    statement = SQL(
        "CREATE DATABASE {} OWNER {} TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LOCALE 'C'"
    )
    await admin.execute(statement.format(Identifier(names.database(service)), Identifier(names.role(service, "owner"))))


def _inside(service: str) -> list[Composed]:
    """Return what is said inside the service's database."""
    roles = {role: Identifier(names.role(service, role)) for role in ATTRIBUTES}
    limited = SQL(", ").join(roles[role] for role in LIMITS)
    templates: list[LiteralString] = [
        "REVOKE ALL ON DATABASE {database} FROM PUBLIC",
        "GRANT CONNECT ON DATABASE {database} TO {limited}",
        "REVOKE ALL ON SCHEMA public FROM PUBLIC",
        "GRANT USAGE ON SCHEMA public TO {runtime}, {system}, {migrator}",
        "GRANT USAGE, CREATE ON SCHEMA public TO {owner}, {definer}",
        "REVOKE UPDATE ON pg_catalog.pg_settings FROM PUBLIC",
        "REVOKE USAGE ON LANGUAGE plpgsql, sql FROM PUBLIC",
        "GRANT USAGE ON LANGUAGE plpgsql, sql TO {migrator}, {owner}, {definer}",
        "ALTER DEFAULT PRIVILEGES FOR ROLE {owner} REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC",
        "ALTER DEFAULT PRIVILEGES FOR ROLE {definer} REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC",
    ]
    said = [SQL(template).format(database=Identifier(names.database(service)), limited=limited, **roles) for template in templates]
    return [*said, *_settings(service)]


def _settings(service: str) -> list[Composed]:
    statement = SQL("ALTER ROLE {} IN DATABASE {} SET {} TO {}")
    database = Identifier(names.database(service))
    said = []
    for role, limits in LIMITS.items():
        name = Identifier(names.role(service, role))
        said.append(statement.format(name, database, Identifier("search_path"), SQL(SEARCH_PATH)))
        said += [statement.format(name, database, Identifier(setting), Literal(value)) for setting, value in limits.items()]
    return said


async def _forbid_functions(admin: AsyncConnection[Any], service: str) -> None:
    found = await (await admin.execute(FORBIDDEN_FUNCTIONS)).fetchall()
    functions = ", ".join(row[0] for row in found)
    await admin.execute(f"REVOKE EXECUTE ON FUNCTION {functions} FROM PUBLIC".encode())
    await admin.execute(
        SQL("GRANT EXECUTE ON FUNCTION set_config(text, text, boolean) TO {}").format(Identifier(names.role(service, "migrator")))
    )


async def _open_tenants(admin: AsyncConnection[Any], service: str) -> None:
    """Make the one way into a tenant, which belongs to the definer, who may set what it sets; and what claims an idempotency key there."""
    roles = {role: Identifier(names.role(service, role)) for role in ("definer", "runtime")}
    await admin.execute(setting.FUNCTION.encode())
    await admin.execute(claim.FUNCTION.encode())
    for statement in (
        "GRANT EXECUTE ON FUNCTION set_config(text, text, boolean) TO {definer}",
        "ALTER FUNCTION public.enter_tenant(uuid) OWNER TO {definer}",
        "REVOKE ALL ON FUNCTION public.enter_tenant(uuid) FROM PUBLIC",
        "GRANT EXECUTE ON FUNCTION public.enter_tenant(uuid) TO {runtime}",
        "ALTER FUNCTION public.claim_idempotency_key OWNER TO {definer}",
        "REVOKE ALL ON FUNCTION public.claim_idempotency_key FROM PUBLIC",
        "GRANT EXECUTE ON FUNCTION public.claim_idempotency_key TO {runtime}",
    ):
        await admin.execute(SQL(statement).format(**roles))
