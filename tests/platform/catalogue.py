"""What the PostgreSQL catalogue must not show about a service's database."""

from collections.abc import Mapping
from typing import Final, NamedTuple


class Gap(NamedTuple):
    """One way in which tenants could see each other: a query that returns the offenders, and a statement that makes one.

    The statement may use `planted`, a good tenant table (id, id2), and is rolled back.
    """

    what: str
    query: str
    plant: str

    def __str__(self) -> str:
        return self.what


EXEMPT: Final[Mapping[str, str]] = {
    "outbox_pkey": "a position that the database hands out; no caller can choose or see it",
    "tenants_with_purgeable_records": "the purge asks it what to go through; it answers with ids of tenants alone",
    "tenants_with_due_runs": "the worker asks it whose work is due; it answers with ids of tenants alone",
    "tenants_with_old_search_misses": "the job that forgets asks it what to go through; it answers with ids of tenants alone",
    "enter_tenant": "the one way into a tenant: once a transaction, which an injected statement or expression comes too late for",
    "tenants_of_user": "sign-in asks it before a tenant is known; it answers with ids alone",
}
"""Offenders that leak nothing, with the reason."""

_OURS: Final = "c.relnamespace = 'public'::regnamespace AND c.relname <> 'alembic_version'"
_TENANT: Final = f"""{_OURS} AND c.relkind IN ('r', 'p')
    AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped)"""
_SIGNING_IN: Final = "ARRAY[current_database() || '_runtime', current_database() || '_system']"
_CURRENT: Final = "(current_setting(''app.tenant_id''::text))::uuid"
_MATCH: Final = f"(tenant_id = ( SELECT {_CURRENT} AS current_setting))"
_BOUND: Final = f"""SELECT FROM pg_policy p
    WHERE p.polrelid = c.oid AND p.polcmd = '*' AND p.polroles @> ARRAY[(current_database() || '_runtime')::regrole::oid]
    AND pg_get_expr(p.polqual, c.oid) = '{_MATCH}' AND pg_get_expr(p.polwithcheck, c.oid) = '{_MATCH}'"""

TABLES: Final = [
    Gap(
        "a tenant table without forced row-level security",
        f"SELECT c.relname FROM pg_class c WHERE {_TENANT} AND NOT (c.relrowsecurity AND c.relforcerowsecurity)",
        "ALTER TABLE planted NO FORCE ROW LEVEL SECURITY",
    ),
    Gap(
        "a tenant table without the permissive tenant policy",
        f"SELECT c.relname FROM pg_class c WHERE {_TENANT} AND NOT EXISTS ({_BOUND} AND p.polpermissive)",
        "DROP POLICY tenant ON planted",
    ),
    Gap(
        "a tenant table without the restrictive tenant policy",
        f"SELECT c.relname FROM pg_class c WHERE {_TENANT} AND NOT EXISTS ({_BOUND} AND NOT p.polpermissive)",
        "ALTER POLICY tenant_only ON planted USING (true)",
    ),
    Gap(
        "a tenant column that may be null or does not default to the transaction's tenant",
        f"""SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
            LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
            WHERE {_TENANT} AND (NOT a.attnotnull OR pg_get_expr(d.adbin, c.oid) IS DISTINCT FROM '{_CURRENT}')""",
        "ALTER TABLE planted ALTER tenant_id DROP DEFAULT",
    ),
    Gap(
        "a unique key of a tenant table that does not lead with the tenant",
        f"""SELECT i.relname FROM pg_class c JOIN pg_index x ON x.indrelid = c.oid JOIN pg_class i ON i.oid = x.indexrelid
            WHERE {_TENANT} AND x.indisunique AND pg_get_indexdef(i.oid, 1, true) <> 'tenant_id'""",
        "CREATE UNIQUE INDEX ON planted (id)",
    ),
    Gap(
        "a foreign key of a tenant table that does not lead with the tenant",
        f"""SELECT f.conname FROM pg_class c JOIN pg_constraint f ON f.conrelid = c.oid AND f.contype = 'f'
            WHERE {_TENANT} AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = f.confrelid AND a.attname = 'tenant_id')
            AND 'tenant_id' <> (SELECT attname FROM pg_attribute a WHERE a.attrelid = f.conrelid AND a.attnum = f.conkey[1])""",
        "ALTER TABLE planted ADD FOREIGN KEY (id, tenant_id) REFERENCES planted (id2, tenant_id)",
    ),
    Gap(
        "a foreign key from a table without a tenant to one with",
        f"""SELECT f.conname FROM pg_class c JOIN pg_constraint f ON f.confrelid = c.oid AND f.contype = 'f'
            WHERE {_TENANT} AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = f.conrelid AND a.attname = 'tenant_id')""",
        "CREATE TABLE orphan (a uuid, b uuid, FOREIGN KEY (a, b) REFERENCES planted)",
    ),
    Gap(
        "a copy of rows outside the policies",
        f"SELECT c.relname FROM pg_class c WHERE {_OURS} AND c.relkind IN ('m', 'f')",
        "CREATE MATERIALIZED VIEW copied AS SELECT * FROM planted",
    ),
    Gap(
        "a view with its owner's rights",
        f"""SELECT c.relname FROM pg_class c WHERE {_OURS} AND c.relkind = 'v'
            AND NOT coalesce(c.reloptions @> ARRAY['security_invoker=true'], false)""",
        "CREATE VIEW seen AS SELECT * FROM planted",
    ),
]

FUNCTIONS: Final = [
    Gap(
        "a function with its owner's rights",
        "SELECT p.proname FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace AND p.prosecdef",
        "CREATE FUNCTION loud() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
    ),
    Gap(
        "a function with its owner's rights that is not the definer's, or looks its names up where the caller says",
        """SELECT p.proname || ' of ' || pg_get_userbyid(p.proowner) FROM pg_proc p
           WHERE p.pronamespace = 'public'::regnamespace AND p.prosecdef AND NOT (
           pg_get_userbyid(p.proowner) = current_database() || '_definer'
           AND EXISTS (SELECT FROM unnest(p.proconfig) setting WHERE setting LIKE 'search_path=%%'))""",
        "CREATE FUNCTION loud() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
    ),
    Gap(
        "a function that passes for leakproof",
        "SELECT p.proname FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace AND p.proleakproof",
        "CREATE FUNCTION quiet() RETURNS int LANGUAGE sql LEAKPROOF AS 'SELECT 1'",
    ),
    Gap(
        "a function that anybody may call",
        """SELECT p.proname FROM pg_proc p
           WHERE p.pronamespace = 'public'::regnamespace AND has_function_privilege('public', p.oid, 'EXECUTE')""",
        "CREATE FUNCTION open() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    ),
    Gap(
        "a built-in function that changes the tenant, runs text or moves files",
        f"""SELECT r || ' calls ' || p.oid::regprocedure FROM unnest({_SIGNING_IN}) r, pg_proc p
            WHERE p.pronamespace = 'pg_catalog'::regnamespace AND has_function_privilege(r, p.oid, 'EXECUTE')
            AND p.proname ~ '^(set_config|ts_stat|pg_read_.*file|pg_ls_.*dir|pg_terminate_backend|query_to_xml|lo_.*)$'""",
        "GRANT EXECUTE ON FUNCTION set_config(text, text, boolean) TO {runtime}",
    ),
    Gap(
        "a language in which a signing-in role may write code",
        f"""SELECT r || ' in ' || l.lanname FROM unnest({_SIGNING_IN}) r, pg_language l
            WHERE l.lanname IN ('sql', 'plpgsql') AND has_language_privilege(r, l.oid, 'USAGE')""",
        "GRANT USAGE ON LANGUAGE plpgsql TO {runtime}",
    ),
]

ROLES: Final = [
    Gap(
        "a right on a table beyond reading and writing rows",
        f"""SELECT c.relname || ' ' || g.privilege_type || ' to ' || coalesce(r.rolname, 'PUBLIC')
            FROM pg_class c, aclexplode(c.relacl) g LEFT JOIN pg_roles r ON r.oid = g.grantee
            WHERE {_OURS} AND g.grantee <> c.relowner AND (g.grantee = 0 OR NOT r.rolname = ANY({_SIGNING_IN}) OR g.is_grantable
            OR g.privilege_type <> ALL (CASE c.relkind WHEN 'S' THEN ARRAY['USAGE']
                                                       ELSE ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE'] END))""",
        "GRANT TRUNCATE ON planted TO {runtime}",
    ),
    Gap(
        "a record of the past that the runtime role may change",
        """SELECT table_name || ' ' || privilege_type FROM information_schema.table_privileges
           WHERE grantee = current_database() || '_runtime' AND (table_name, privilege_type) IN
           (('audit_log', 'UPDATE'), ('audit_log', 'DELETE'), ('audit_batches', 'INSERT'), ('audit_batches', 'UPDATE'),
            ('audit_batches', 'DELETE'), ('audit_seals', 'INSERT'), ('audit_seals', 'UPDATE'), ('audit_seals', 'DELETE'),
            ('audit_progress', 'INSERT'), ('audit_progress', 'UPDATE'), ('audit_progress', 'DELETE'),
            ('outbox', 'SELECT'), ('outbox', 'UPDATE'), ('outbox', 'DELETE'),
            ('idempotency', 'UPDATE'), ('idempotency', 'DELETE'), ('dead_letters', 'SELECT'), ('dead_letters', 'UPDATE'),
            ('dead_letters', 'DELETE'), ('subject_keys', 'UPDATE'), ('root_key', 'SELECT'), ('root_key', 'INSERT'),
            ('root_key', 'UPDATE'), ('alembic_version', 'INSERT'), ('alembic_version', 'UPDATE'))""",
        "GRANT UPDATE ON audit_log TO {runtime}",
    ),
    Gap(
        "a thing that a signing-in role owns",
        f"""SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind <> 'i'
            AND pg_get_userbyid(c.relowner) = ANY({_SIGNING_IN})""",
        "ALTER TABLE planted OWNER TO {runtime}",
    ),
    Gap(
        "a role with more power than its work",
        f"""SELECT r.rolname FROM pg_roles r WHERE r.rolname = ANY({_SIGNING_IN})
            AND (r.rolsuper OR r.rolbypassrls OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication)""",
        "ALTER ROLE {runtime} BYPASSRLS",
    ),
    Gap(
        "a role that may become another",
        f"""SELECT r.rolname || ' as ' || pg_get_userbyid(m.roleid) FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member
            WHERE r.rolname = ANY({_SIGNING_IN})""",
        "GRANT {owner} TO {runtime}",
    ),
    Gap(
        "a place where a signing-in role may make things",
        f"""SELECT r || ' in ' || p FROM unnest({_SIGNING_IN}) r, unnest(ARRAY['schema', 'database', 'temporary']) p
            WHERE CASE p WHEN 'schema' THEN has_schema_privilege(r, 'public', 'CREATE')
                         WHEN 'database' THEN has_database_privilege(r, current_database(), 'CREATE')
                         ELSE has_database_privilege(r, current_database(), 'TEMPORARY') END""",
        "GRANT TEMPORARY ON DATABASE {database} TO {runtime}",
    ),
    Gap(
        "the system role on a table of tenants' records",
        f"""SELECT c.relname FROM pg_class c, aclexplode(c.relacl) g WHERE {_TENANT}
            AND pg_get_userbyid(g.grantee) = current_database() || '_system'
            AND c.relname NOT IN ('outbox', 'idempotency', 'dead_letters', 'audit_log', 'audit_batches', 'audit_seals')""",
        "GRANT SELECT ON planted TO {system}",
    ),
]

GAPS: Final = [*TABLES, *FUNCTIONS, *ROLES]

WITHOUT_TENANT: Final = """
    SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
    AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped)"""

CHASSIS_GLOBALS: Final = frozenset({
    "alembic_version", "audit_progress", "inbox", "procrastinate_events", "procrastinate_jobs", "procrastinate_periodic_defers",
    "procrastinate_workers", "root_key",
})  # fmt: skip
"""Tables of the chassis that hold no tenant's data: what is migrated, how far the trail is sealed, which events were handled, the key of
keys, and jobs, whose arguments are ids."""
