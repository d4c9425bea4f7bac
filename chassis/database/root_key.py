"""The root key of a service: made by whichever process comes up first, opened once at the start of each."""

import secrets
from typing import Final

import psycopg
import stamina
from sqlalchemy import LargeBinary, bindparam, select
from sqlalchemy.dialects.postgresql import insert

from chassis.database.pipeline import Pipeline
from chassis.database.pool import pipeline
from chassis.database.statements import Query
from chassis.database.subject_keys import root_key
from chassis.sealing.keys import RootKey
from chassis.vault import KEY_BYTES, Vault

PATIENCE: Final = 10.0  # seconds that the database may take to come up

_SEALED: Final = bindparam("sealed", type_=LargeBinary())
_FIND: Final = Query(select(root_key.c.sealed))
_OFFER: Final = Query(insert(root_key).values(sealed=_SEALED).on_conflict_do_nothing())
_RENEW: Final = Query(root_key.update().where(root_key.c.sealed == bindparam("former", type_=LargeBinary())).values(sealed=_SEALED))


@stamina.retry(on=psycopg.OperationalError, attempts=None, timeout=PATIENCE)
async def load(dsn: str, vault: Vault, service: str) -> RootKey:
    """Return a service's root key, brought under the current master key; `dsn` is the system role's. Raises VaultError."""
    purpose = f"seal|{service}"
    async with pipeline(dsn) as connection:
        sealed = await _sealed(connection, vault, purpose)
        renewed = await vault.rewrap(sealed)
        if renewed != sealed:
            await connection.ask(_RENEW, {"former": sealed, "sealed": renewed})
        return RootKey(await vault.open(renewed, purpose))


async def _sealed(connection: Pipeline, vault: Vault, purpose: str) -> bytes:
    """Return the key as it is kept; of two processes that make the first one, one succeeds."""
    while not (rows := (await connection.ask(_FIND, {})).rows()):
        await connection.ask(_OFFER, {"sealed": await vault.seal(secrets.token_bytes(KEY_BYTES), purpose)})
    return bytes(rows[0]["sealed"])
