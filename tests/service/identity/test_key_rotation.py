"""ID-13, ID-56: keys turn without a token becoming worthless, and lie sealed under the master key."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import psycopg
import pytest
from joserfc import jws
from joserfc.jwk import KeySet
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row

import services.identity
from chassis import ids, names
from chassis.context import Request, enter
from chassis.database import Database
from chassis.database.migrate import upgrade
from chassis.database.roles import bootstrap
from chassis.vault import LocalMasterKey, Vault, VaultError
from services.identity.keys import actions
from services.identity.keys.keyring import Keyring
from services.identity.keys.rules import TIMES, Use

MIGRATIONS = Path(services.identity.__file__).parent / "migrations"
MASTER = secrets.token_bytes(32)


@pytest.fixture(scope="module")
async def own_database(platform) -> AsyncIterator[tuple[Database, str]]:
    """Identity's tables in a database of this module's own: rotating the platform's keys would be felt by every other test."""
    service = f"keys_{secrets.token_hex(4)}"
    passwords = {names.role(service, role): secrets.token_hex(8) for role in names.SIGNING_IN}
    await bootstrap(platform.admin_dsn(), service, passwords)

    def dsn(role: str) -> str:
        user = names.role(service, role)
        return make_conninfo(platform.admin_dsn(), user=user, password=passwords[user], dbname=names.database(service))

    await asyncio.to_thread(upgrade, dsn("migrator"), service, MIGRATIONS)
    async with Database(dsn("runtime")) as database:
        yield database, make_conninfo(platform.admin_dsn(), dbname=names.database(service))


@pytest.fixture
async def keys(own_database):
    """`await keys(sql)` looks at the keys; they are gone at the start of each test."""
    database, admin = own_database
    enter(Request(request_id=ids.new(), database=database))

    async def run(sql):
        async with await psycopg.AsyncConnection.connect(admin, row_factory=dict_row) as connection:
            cursor = await connection.execute(sql)
            return await cursor.fetchall() if cursor.description else []

    await run("DELETE FROM keys")
    return run


@pytest.fixture
def vault():
    return Vault(LocalMasterKey(MASTER))


@pytest.fixture
def keyring(keys, vault):
    return Keyring(vault)


def signed_by(token: str, key_set: bytes) -> bool:
    known = KeySet.import_key_set(orjson.loads(key_set))
    return jws.deserialize_compact(token, known, algorithms=["ES256"]).payload == b"said"


def sign(signer) -> str:
    return jws.serialize_compact({"alg": "ES256", "kid": signer.kid}, b"said", signer)


async def test_the_first_question_makes_an_active_and_a_next_key_of_each_use(keyring, keys):
    await keyring.current()
    kept = await keys("SELECT use, state FROM keys ORDER BY use, state")
    assert [(row["use"], row["state"]) for row in kept] == [
        ("access", "active"),
        ("access", "next"),
        ("refresh", "active"),
        ("refresh", "next"),
        ("seal", "active"),
        ("seal", "next"),
    ]


async def test_processes_that_start_at_once_agree_on_the_keys(keys, vault):
    rings = [Keyring(vault) for _ in range(5)]
    found = await asyncio.gather(*(ring.current() for ring in rings))
    assert len({each.signer.kid for each in found}) == 1
    assert len({each.refresh_kid for each in found}) == 1


async def test_a_new_key_was_published_before_and_an_old_token_holds_after(keyring, vault):
    before = await keyring.current()
    await actions.rotate(vault, Use.ACCESS)
    keyring.forget()
    after = await keyring.current()
    assert after.signer.kid != before.signer.kid
    assert signed_by(sign(after.signer), before.key_set)
    assert signed_by(sign(before.signer), after.key_set)


async def test_refresh_tokens_of_a_former_key_can_still_be_continued(keyring, vault):
    before = await keyring.current()
    await actions.rotate(vault, Use.REFRESH)
    keyring.forget()
    after = await keyring.current()
    assert after.refresh_kid != before.refresh_kid
    assert after.refresh[before.refresh_kid] == before.refresh[before.refresh_kid]


async def test_a_key_that_another_process_made_is_found_when_it_is_asked_for(keys, vault):
    mine, theirs = Keyring(vault), Keyring(vault)
    await mine.current()
    await actions.rotate(vault, Use.REFRESH)
    await actions.rotate(vault, Use.REFRESH)
    kid = (await theirs.current()).refresh_kid
    assert kid in (await mine.current(kid)).refresh


async def test_the_clock_rotates_what_served_its_time_and_deletes_what_retired(keyring, keys, vault):
    first = await keyring.current()
    await actions.tend(vault)
    assert len(await keys("SELECT 1 FROM keys WHERE use = 'access'")) == 2
    times = TIMES[Use.ACCESS]
    await keys(f"UPDATE keys SET state_time = state_time - interval '{times.active.days} days' WHERE use = 'access'")
    await actions.tend(vault)
    states = {row["kid"]: row["state"] for row in await keys("SELECT kid, state FROM keys WHERE use = 'access'")}
    assert states.pop(str(first.signer.kid)) == "retiring"
    assert sorted(states.values()) == ["active", "next"]
    await keys(f"UPDATE keys SET state_time = state_time - interval '{times.retiring.total_seconds()} seconds' WHERE use = 'access'")
    await actions.tend(vault)
    assert str(first.signer.kid) not in {row["kid"] for row in await keys("SELECT kid FROM keys")}


async def test_no_private_key_lies_in_the_database_in_clear(keyring, keys):
    current = await keyring.current()
    rows = await keys("SELECT public, sealed FROM keys")
    assert all("d" not in (row["public"] or {}) for row in rows)
    written = b"".join(row["sealed"] for row in rows)
    assert current.signer.as_dict(private=True)["d"].encode() not in written
    assert all(secret not in written for secret in current.refresh.values())


async def test_a_new_master_key_rewraps_and_the_old_one_can_go(keyring, keys, vault):
    before = await keyring.current()
    renewed = secrets.token_bytes(32)
    with pytest.raises(VaultError):
        await Keyring(Vault(LocalMasterKey(renewed))).current()
    await actions.tend(Vault(LocalMasterKey(renewed, MASTER)))
    after = await Keyring(Vault(LocalMasterKey(renewed))).current()
    assert after.signer.as_dict(private=True) == before.signer.as_dict(private=True)
    assert after.refresh == before.refresh
