"""A pool of PostgreSQL connections, and transactions that see one tenant's rows only."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager

from psycopg import AsyncConnection, OperationalError
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from shared.errors import UnavailableError

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

    async def open(self) -> None:
        """Start the pool; connections are made when first needed."""
        await self._pool.open(wait=False)

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.close()

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
        with _heeding_cancellation():
            try:
                async with self._pool.connection() as connection:
                    yield connection
            except (PoolTimeout, OperationalError) as error:
                raise UnavailableError("The database cannot be reached; try again shortly.") from error


@contextmanager
def _heeding_cancellation() -> Iterator[None]:
    """Raise a cancellation of this task that was lost inside.

    The pool waits by `asyncio.wait_for`, which before Python 3.12 loses one that comes together with what was
    waited for. A task that renews a lease in a loop would then never end, nor whoever waits for it.
    """
    before = _cancellations()
    try:
        yield
    except Exception:
        if _cancellations() > before:
            raise asyncio.CancelledError from None
        raise
    if _cancellations() > before:
        raise asyncio.CancelledError


def _cancellations() -> int:
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


async def _configure(connection: Connection) -> None:
    # Imported here: only functions that talk to PostgreSQL pay for it.
    from pgvector.psycopg import register_vector_async

    await register_vector_async(connection)
    await connection.commit()
