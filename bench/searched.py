"""The organisation that the search is measured in: registered, filled beside another one, and found again in a folder that was kept."""

import asyncio
import json
import secrets
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import psycopg
from psycopg.conninfo import make_conninfo

from chassis import names
from services.crm.search import rules
from stack.launch import Platform
from stack.topology import EDGE

OTHER: Final = "00000000-0000-7000-8000-00000000be9c"
OTHERS: Final = 100_000
GIVEN, FAMILY = 300, 3_000
"""Different names, the frequent ones far more so."""

PEOPLE: Final = """
CREATE TEMPORARY TABLE people AS
  SELECT uuidv7() AS id, 'given' || (power(random(), 2) * {given})::int AS given,
    'family' || (power(random(), 2) * {family})::int AS family, lpad(n::text, 7, '0') AS number FROM generate_series(1, {count}) n
"""
RECORDS: Final = """
INSERT INTO contacts (tenant_id, id, version, create_time, update_time, given_name, family_name, display_name, sort_name, emails, phones,
    title, department, source, status, social_profiles, tags)
  SELECT '{tenant}', id, 1, now(), now(), given, family, given || ' ' || family, given || ' ' || family,
    jsonb_build_array(jsonb_build_object('address', given || '.' || family || number || '@mail.example.com', 'label', '')),
    jsonb_build_array(jsonb_build_object('number', '+1555' || number, 'e164', '+1555' || number, 'extension', '', 'label', '')),
    '', '', '', 'active', '[]', '[]' FROM people
"""
TOKENS: Final = """
INSERT INTO search_tokens (tenant_id, kind, entity_id, token, field, version)
  SELECT '{tenant}', 'contact', id, token, field, {version} FROM people, LATERAL (VALUES
    (given, 1), (family, 1), (given || '.' || family || number || '@mail.example.com', 2), (family || number || '@mail.example.com', 2),
    ('mail.example.com', 2), ('example.com', 2), ('1555' || number, 3), ('555' || number, 3), (number, 3), (right(number, 4), 3))
    t(token, field)
  ON CONFLICT DO NOTHING
"""
SIZE: Final = "SELECT count(*), pg_total_relation_size('search_tokens') FROM search_tokens"


@dataclass(frozen=True, slots=True)
class Filled:
    """An organisation with its contacts, a token of its owner, and what it cost to fill."""

    contacts: int
    tenant: str
    token: str
    seconds: float
    tokens: float
    size: float


async def filled(platform: Platform, folder: Path, contacts: int) -> Filled:
    """Return the organisation that an earlier run left in the folder, or a new one."""
    kept = folder / "searched.json"
    async with httpx.AsyncClient(base_url=f"http://{platform.wiring.address(EDGE.name)}", timeout=30) as client:
        if kept.exists():
            known = json.loads(kept.read_text())
            if known["filled"]["contacts"] != contacts:
                raise SystemExit(f"{folder} holds {known['filled']['contacts']:,} contacts")
            return Filled(**known["filled"], token=await _entered(client, "signIn", known["person"]))
        person = {"email": f"{secrets.token_hex(8)}@example.com", "password": secrets.token_urlsafe(24)}
        token = await _entered(client, "register", {**person, "organisation": "Bench", "name": "Bench Owner", "locale": "en-GB"})
        me = await client.get("/v1/me", headers={"authorization": f"Bearer {token}"})
    tenant = str(me.json()["tenant"]["id"])
    new = Filled(contacts, tenant, token, *await asyncio.to_thread(_fill, platform, tenant, contacts))
    kept.write_text(json.dumps({"person": person, "filled": {name: value for name, value in asdict(new).items() if name != "token"}}))
    return new


async def _entered(client: httpx.AsyncClient, verb: str, body: dict[str, Any]) -> str:
    answer = await client.post(f"/v1/auth:{verb}", json=body)
    answer.raise_for_status()
    return str(answer.json()["accessToken"])


def _fill(platform: Platform, tenant: str, contacts: int) -> tuple[float, float, float]:
    """Return the seconds that it took, and the tokens of a contact with their bytes, indices included."""
    began = time.perf_counter()
    dsn = make_conninfo(platform.wiring.admin_dsn(), dbname=names.database("crm"))
    with psycopg.connect(dsn, autocommit=True) as admin:
        for owner, count in ((OTHER, OTHERS), (tenant, contacts)):
            admin.execute(PEOPLE.format(given=GIVEN, family=FAMILY, count=count).encode())
            if owner == tenant:
                admin.execute(RECORDS.format(tenant=owner).encode())
            admin.execute(TOKENS.format(tenant=owner, version=rules.VERSION).encode())
            admin.execute("DROP TABLE people")
        admin.execute("VACUUM ANALYZE contacts, search_tokens")
        admin.execute("CHECKPOINT")
        seconds = time.perf_counter() - began
        tokens, size = admin.execute(SIZE).fetchone() or (0, 0)
    return seconds, tokens / (contacts + OTHERS), size / (contacts + OTHERS)
