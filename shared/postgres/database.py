"""A pool of PostgreSQL connections, and transactions that see one tenant's rows only."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeVar

from psycopg import AsyncConnection, OperationalError
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from shared.errors import UnavailableError

T = TypeVar("T")

Connection = AsyncConnection[DictRow]

# A URL, or what says it anew for each connection.
Url = str | Callable[[], Awaitable[str]]


class Database:
    """Hands out transactions.

    Row-level security is on for every table: inside `tenant(...)` only that tenant's rows exist, whatever
    the SQL says; in `anonymous()`, none.
    """

    def __init__(self, url: Url, *, pool_size: int, connect_timeout: float = 3.0) -> None:
        """Args:
        url: `postgresql://` URL of a role that is a member of `weir_app`.
        connect_timeout: Seconds to wait for a connection before `UnavailableError`.
        """
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            url,
            min_size=0,
            max_size=pool_size,
            open=False,
            timeout=connect_timeout,
            # Else the pool tries less and less often, and finds PostgreSQL back only minutes later.
            reconnect_timeout=connect_timeout,
            kwargs={"row_factory": dict_row, "connect_timeout": max(1, round(connect_timeout))},
            configure=_configure,
            check=self._check,
        )
        self._working: set[asyncio.Task[Any]] = set()

    async def open(self) -> None:
        """Start the pool; connections are made when first needed."""
        await self._pool.open(wait=False)

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.close()
        while self._working:
            await asyncio.gather(*self._working, return_exceptions=True)

    @asynccontextmanager
    async def tenant(self, tenant_id: str) -> AsyncIterator[Connection]:
        """One transaction as `tenant_id`: committed at the end, rolled back on an exception.

        Raises:
            UnavailableError: PostgreSQL cannot be reached.
        """
        async with self.anonymous() as connection:
            await connection.execute("SELECT set_config('weir.tenant_id', %s, true)", (tenant_id,))
            yield connection

    def anonymous(self) -> AbstractAsyncContextManager[Connection]:
        """One transaction as nobody, for `find_caller` and `list_tenants` alone.

        Raises:
            UnavailableError: PostgreSQL cannot be reached.
        """
        return self._transaction()

    async def _check(self, connection: Connection) -> None:
        """Whether a connection is still there: a Lambda may sleep for minutes, and find all of them closed.

        Where one is not, the others are looked at too. The pool by itself comes upon one at a time, and waits
        1, 2, 4 ... s after each: four that are gone cost a caller all its time, and a 503.
        """
        try:
            await AsyncConnectionPool.check_connection(connection)
        except OperationalError:
            await self._pool.check()
            raise

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Connection]:
        try:
            connection = await self._taken()
            try:
                async with connection:
                    yield connection
            finally:
                await asyncio.shield(self._begin(self._pool.putconn(connection)))
        except (PoolTimeout, OperationalError) as error:
            raise UnavailableError("The database cannot be reached; try again shortly.") from error

    async def _taken(self) -> Connection:
        """A connection of the pool, which must be put back.

        Whoever is cancelled while the pool works for him costs it a connection for ever, and before Python
        3.12 may not even notice. So it works in tasks of its own, which nobody cancels.
        """
        taking = self._begin(self._pool.getconn())
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            taking.add_done_callback(self._put_back)
            raise

    def _put_back(self, taking: asyncio.Task[Connection]) -> None:
        if not taking.cancelled() and taking.exception() is None:
            self._begin(self._pool.putconn(taking.result()))

    def _begin(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(work)
        self._working.add(task)
        task.add_done_callback(self._working.discard)
        return task


async def _configure(connection: Connection) -> None:
    # Imported here: only functions that talk to PostgreSQL pay for it.
    from pgvector.psycopg import register_vector_async

    await register_vector_async(connection)
    await connection.commit()
