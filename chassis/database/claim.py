"""The claim of an idempotency key, which a write makes as the first thing in its transaction; refused, it ends the transaction."""

from typing import Final

from psycopg import Error
from sqlalchemy import Text, bindparam, func, select

from chassis.database.statements import Query

BUSY: Final = "KI001"
KNOWN: Final = "KI002"
"""States that the function raises: SQL leaves classes from I to Z to implementations, and PostgreSQL has none with a K."""

FUNCTION: Final = f"""
    CREATE OR REPLACE FUNCTION public.claim_idempotency_key(scope text, principal text, method text, key text) RETURNS void
    LANGUAGE plpgsql AS $$
    BEGIN
        IF NOT pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended($1, 0)) THEN
            RAISE EXCEPTION 'the first request with this key still runs' USING ERRCODE = '{BUSY}';
        END IF;
        IF EXISTS (SELECT FROM public.idempotency AS kept WHERE kept.principal = $2 AND kept.method = $3 AND kept.key = $4) THEN
            RAISE EXCEPTION 'the key was used before' USING ERRCODE = '{KNOWN}';
        END IF;
    END $$
"""
"""The lock is held to the end of the transaction, so that a second call with the key never waits behind the first.

It raises instead of answering: what stands behind it in the same batch is not done then, and a write that has nothing else to ask
takes one round trip. It runs with its caller's rights, so that a tenant's keys are its own.
"""

CLAIM: Final = Query(
    select(func.claim_idempotency_key(*(bindparam(name, type_=Text()) for name in ("scope", "principal", "method", "key"))))
)


def state(failure: BaseException) -> str:
    """Return the state that a failure of the database has, "" if it has none."""
    return (failure.diag.sqlstate or "") if isinstance(failure, Error) else ""
