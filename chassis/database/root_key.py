"""The root key of a service: made by whichever process comes up first, opened once at the start of each."""

import secrets
from typing import Any, Final

import psycopg
import stamina
from psycopg import AsyncConnection, AsyncCursor
from sqlalchemy import LargeBinary, bindparam, select
from sqlalchemy.dialects.postgresql import insert

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
    async with await AsyncConnection.connect(dsn, autocommit=True) as connection:
        sealed = await _sealed(connection, vault, purpose)
        renewed = await vault.rewrap(sealed)
        if renewed != sealed:
            await _run(connection, _RENEW, former=sealed, sealed=renewed)
        return RootKey(await vault.open(renewed, purpose))


async def _sealed(connection: AsyncConnection[Any], vault: Vault, purpose: str) -> bytes:
    """Return the key as it is kept; of two processes that make the first one, one succeeds."""
    while (row := await (await _run(connection, _FIND)).fetchone()) is None:
        await _run(connection, _OFFER, sealed=await vault.seal(secrets.token_bytes(KEY_BYTES), purpose))
    return bytes(row[0])


async def _run(connection: AsyncConnection[Any], query: Query, **values: bytes) -> AsyncCursor[Any]:
    return await connection.execute(query.sql, query.bind(values))
