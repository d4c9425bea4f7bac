"""Engine and sessions: one session and one transaction per request."""

from collections.abc import AsyncIterator
from functools import cache
from typing import Annotated

from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from bench.baselines.monolith.settings import settings


@cache
def sessions() -> async_sessionmaker[AsyncSession]:
    """Return the factory of sessions, made at the first use."""
    engine = create_async_engine(settings().database_url, pool_size=settings().pool_size, max_overflow=0)
    return async_sessionmaker(engine, expire_on_commit=False)


async def transaction() -> AsyncIterator[AsyncSession]:
    """Yield a session whose transaction commits when the endpoint returns, before the answer is sent."""
    async with sessions().begin() as session:
        yield session


Transaction = Annotated[AsyncSession, Depends(transaction, scope="function")]
