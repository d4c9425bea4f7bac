"""The EXPLAIN gate: as the runtime role, no statement of crm reads a tenant's table from end to end, in a tenant of 20,000."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import orjson
import psycopg
import pytest

from chassis.database import Query
from chassis.listing import LAST_ID, LAST_KEY, SIZE, Listing, Question
from services.crm.companies import store as companies
from services.crm.contacts import store as contacts
from services.crm.search import store as search
from tests.conftest import AdminDsn, Dsn

TENANT = "00000000-0000-7000-8000-00000000a110"
OWNER = "cfcd2084-95d5-45ef-a6e7-dff9f98764da"
ROWS = 20_000  # tried: whichever index is gone, the same tests notice as with 100,000, and those take five times as long

FILL = f"""
INSERT INTO companies (id, version, create_time, update_time, delete_time, name, sort_name, domain, industry, employee_count, phones,
    owner_id, source, tags, description)
  SELECT uuidv7(), 1, t.at, t.at, CASE WHEN n % 50 = 0 THEN now() END, 'Company ' || n, 'company ' || n, 'c' || n || '.example.com',
    'i' || n % 20, n % 1000, '[]', CASE WHEN n % 20 = 0 THEN uuid '{OWNER}' END, 's' || n % 5, '[]', ''
  FROM generate_series(1, {ROWS}) n, LATERAL (SELECT now() - n * interval '1 min') t(at);
INSERT INTO contacts (id, version, create_time, update_time, delete_time, given_name, family_name, display_name, sort_name, emails, phones,
    title, department, owner_id, source, status, social_profiles, tags, last_contacted_time)
  SELECT uuidv7(), 1, t.at, t.at, CASE WHEN n % 50 = 0 THEN now() END, 'P', '', 'P ' || n, 'p ' || n, '[]', '[]',
    CASE WHEN n % 3 = 0 THEN 't' || n % 100 ELSE '' END, CASE WHEN n % 3 = 0 THEN 'd' || n % 10 ELSE '' END,
    CASE WHEN n % 20 = 0 THEN uuid '{OWNER}' END, 's' || n % 5, CASE WHEN n % 100 = 0 THEN 'archived' ELSE 'active' END, '[]', '[]',
    CASE WHEN n % 4 = 0 THEN t.at END
  FROM generate_series(1, {ROWS}) n, LATERAL (SELECT now() - n * interval '1 min') t(at);
INSERT INTO contact_keys (contact_id, kind, key)
  SELECT id, 'email', 'p' || substr(sort_name, 3) || '@example.com' FROM contacts WHERE tenant_id = '{TENANT}'
  UNION ALL SELECT id, 'phone', '555' || lpad(substr(sort_name, 3), 7, '0') FROM contacts WHERE tenant_id = '{TENANT}';
INSERT INTO search_tokens (kind, entity_id, token, field, version)
  SELECT 'contact', id, token, field, 1 FROM contacts, LATERAL (VALUES ('p', 1), (substr(sort_name, 3), 1),
    ('p' || substr(sort_name, 3) || '@example.com', 2), ('example.com', 2)) t(token, field)
    WHERE tenant_id = '{TENANT}' AND delete_time IS NULL
  UNION ALL SELECT 'company', id, token, field, 1 FROM companies, LATERAL (VALUES ('company', 1), (domain, 4)) t(token, field)
    WHERE tenant_id = '{TENANT}' AND delete_time IS NULL;
"""

FILTERS = {
    "contacts": (
        contacts.LISTING,
        ["", 'display_name = "p 99*"', "display_name = nobody", 'email = "p5@example.com"', 'email = "p51*"', "email = nobody",
         "phone = 5550000005", "title = t3", "title = nobody", "department = d3", "department = nobody", f"company_id = {OWNER}",
         f"owner_id = {OWNER}", "source = s1", "source = nobody", "status = CONTACT_STATUS_ARCHIVED", "status = CONTACT_STATUS_INACTIVE",
         "create_time > 2100-01-01T00:00:00Z", "update_time < 2000-01-01T00:00:00Z", "last_contacted_time:*",
         "last_contacted_time < 2000-01-01T00:00:00Z",
         "title = t3 OR department = nobody", "email = nobody OR title = nobody", 'NOT email = "p5@example.com"'],
    ),
    "companies": (
        companies.LISTING,
        ["", 'name = "company 99*"', "name = nobody", "domain = c5.example.com", "domain = nobody", "industry = i3", "industry = nobody",
         "employee_count > 990", "employee_count < 0", f"owner_id = {OWNER}", "source = s1", "source = nobody",
         "create_time > 2100-01-01T00:00:00Z", "update_time < 2000-01-01T00:00:00Z"],
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def runtime(dsn: Dsn, admin_dsn: AdminDsn) -> Iterator[psycopg.Connection[Any]]:
    """A connection as the runtime role, in a transaction of the large tenant."""
    with psycopg.connect(admin_dsn("crm")) as admin:
        if not admin.execute("SELECT FROM contacts WHERE tenant_id = %s LIMIT 1", [TENANT]).rowcount:
            admin.execute(f"SET LOCAL app.tenant_id = '{TENANT}'")
            admin.execute(FILL.encode())
    with psycopg.connect(admin_dsn("crm"), autocommit=True) as admin:
        admin.execute("ANALYZE companies, contacts, contact_keys, search_tokens")
    with psycopg.connect(dsn("crm", "runtime")) as connection:
        connection.execute(f"SET LOCAL app.tenant_id = '{TENANT}'")
        yield connection


def sequential_scans(connection: psycopg.Connection[Any], query: Query, values: dict[str, Any]) -> list[str]:
    """Return the tables that the plan of a statement reads from end to end."""
    asked = b"EXPLAIN (FORMAT JSON) " + query.command
    result = connection.pgconn.exec_params(asked, query.parameters(values), param_formats=query.formats)
    plan = result.get_value(0, 0)
    assert plan is not None, result.get_error_message()

    def walk(node: dict[str, Any]) -> Iterator[str]:
        if node["Node Type"] == "Seq Scan":
            yield node["Relation Name"]
        for child in node.get("Plans", []):
            yield from walk(child)

    return list(walk(orjson.loads(plan)[0]["Plan"]))


@pytest.mark.parametrize("noun", FILTERS)
def test_no_list_reads_a_table_from_end_to_end(runtime: psycopg.Connection[Any], noun: str) -> None:
    listing: Listing
    listing, filters = FILTERS[noun]
    wrong = []
    for text in filters:
        wanted = listing.filters.read(text)
        for order in listing.orders.values():
            key = "p 5" if order.column == "sort_name" else datetime(2026, 1, 1, tzinfo=UTC)
            for show_deleted in (False, True):
                for further in (False, True):
                    query = listing.query(Question(order, wanted.shape, show_deleted, further))
                    position = {LAST_KEY: key, LAST_ID: TENANT} if further else {}
                    if sequential_scans(runtime, query, {SIZE: 21, **wanted.values, **position}):
                        wrong.append((text, order, show_deleted, further))
    assert not wrong


@pytest.mark.parametrize("store", [contacts.STORE, companies.STORE], ids=["contacts", "companies"])
@pytest.mark.parametrize("statement", ["_get", "_lock", "_delete", "_get_many", "_lock_many", "_delete_many", "_due", "_unfound"])
def test_no_read_or_write_by_id_reads_a_table_from_end_to_end(runtime: psycopg.Connection[Any], store: Any, statement: str) -> None:
    query: Query = getattr(store, statement)
    values = {"id": OWNER, "ids": [OWNER, TENANT], "before": datetime(2026, 1, 1, tzinfo=UTC), "most": 500, "after": OWNER}
    assert not sequential_scans(runtime, query, {name: values[name] for name in query.names if name in values})


@pytest.mark.parametrize("query", [contacts.DROP_KEYS, contacts.OF_GONE_COMPANIES, companies.LIVE], ids=["keys", "gone", "live"])
def test_no_statement_of_a_noun_reads_a_table_from_end_to_end(runtime: psycopg.Connection[Any], query: Query) -> None:
    values = {"ids": [OWNER, TENANT], "before": datetime(2020, 1, 1, tzinfo=UTC), "most": 500}
    assert not sequential_scans(runtime, query, {name: values[name] for name in query.names if name in values})


@pytest.mark.parametrize("kind", ["email", "phone"])
def test_no_contact_of_an_import_is_looked_for_from_end_to_end(runtime: psycopg.Connection[Any], kind: str) -> None:
    assert not sequential_scans(runtime, contacts.BY_KEY, {"kind": kind, "keys": ["p5@example.com", "5550000005"]})


@pytest.mark.parametrize("key", companies.NAMED)
def test_no_company_of_an_import_is_looked_for_from_end_to_end(runtime: psycopg.Connection[Any], key: str) -> None:
    assert not sequential_scans(runtime, companies.NAMED[key], {"keys": ["p 5", "example.com"]})


@pytest.mark.parametrize("words", [["p5"], ["p"], ["nobody"], ["p", "example"], ["p5", "5"], ["nobody", "p"], ["company", "p", "example"]])
@pytest.mark.parametrize("kinds", [["contact"], ["contact", "company"]])
def test_no_search_reads_a_table_from_end_to_end(runtime: psycopg.Connection[Any], kinds: list[str], words: list[str]) -> None:
    ranges = {"words": words, "ends": [word + search.BEHIND for word in words]}
    values = {"kinds": kinds, "word": words[0], "beyond": words[0] + search.BEHIND, "most": 1_000, "size": 20}
    for query, asked in (
        (search.COUNTS, {"kinds": kinds, "counted": search.COUNTED, **ranges}),
        (search.RANKED, values),
        (search.RANKED_BY_ALL, {**values, **ranges}),
        (search.RANKED_BY_SHARED, {**values, **ranges, "second": words[-1], "beyond_second": words[-1] + search.BEHIND, "known": 12_000}),
        (search.RANKED_BY_FREQUENT, {**values, **ranges, "meeting": words[-1]}),
        (search.DROP, {"ids": [OWNER, TENANT]}),
    ):
        assert not sequential_scans(runtime, query, asked)
