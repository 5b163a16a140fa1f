"""Searching in a read replica, without missing what was just written."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from shared.errors import UnavailableError
from shared.knowledge.scope import StoreFacts, read_stores
from shared.postgres.database import Connection, Database
from shared.telemetry import logger

_log = logger("knowledge")


@asynccontextmanager
async def fresh(
    database: Database, replica: Database | None, tenant_id: str, stores: Sequence[StoreFacts]
) -> AsyncIterator[Connection]:
    """A transaction in the replica if it has seen every change of the stores, else in the primary.

    A replica that is behind, or gone, is no failure. Each of several behind one address is asked for itself.

    Args:
        stores: As the primary has them.

    Raises:
        UnavailableError: Neither can be reached.
    """
    async with AsyncExitStack() as stack:
        connection = None if replica is None else await _caught_up(stack, replica, tenant_id, stores)
        if connection is None:
            connection = await stack.enter_async_context(database.tenant(tenant_id))
        yield connection


async def _caught_up(
    stack: AsyncExitStack, replica: Database, tenant_id: str, stores: Sequence[StoreFacts]
) -> Connection | None:
    try:
        async with AsyncExitStack() as trying:
            connection = await trying.enter_async_context(replica.tenant(tenant_id))
            there = await read_stores(connection, tenant_id, [s.vector_store_id for s in stores])
            seen = {store.vector_store_id: store.revision for store in there}
            if all(seen.get(store.vector_store_id, -1) >= store.revision for store in stores):
                stack.push_async_exit(trying.pop_all())
                return connection
    except UnavailableError:
        _log.warning("the replica cannot be reached", exc_info=True)
    return None
