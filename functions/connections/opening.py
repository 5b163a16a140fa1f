"""Opens what the routes work with, for the life of the process."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime

from connections.routes import Routes
from connections.settings import ConnectionsSettings
from shared.aws.management_api import ManagementApi
from shared.aws.queues import Queue
from shared.connections import open_database, open_valkey
from shared.limits.keyring import KeyRing
from shared.websocket.connections import Connections
from shared.websocket.tickets import Tickets
from shared.websocket.turns import Turns


@asynccontextmanager
async def open_routes(
    settings: ConnectionsSettings, *, clock: Callable[[], datetime]
) -> AsyncIterator[Routes]:
    """The routes as the settings say; their connections are closed at the end."""
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(settings))
        valkey = await stack.enter_async_context(open_valkey(settings))
        api = ManagementApi(settings.websocket_callback_url)
        stack.push_async_callback(api.close)
        yield Routes(
            keyring=KeyRing(database, valkey),
            tickets=Tickets(valkey),
            connections=Connections(valkey, per_key=settings.connections_per_key),
            turns=Turns(valkey, per_connection=settings.turns_per_connection),
            queue=Queue(settings.turns_queue_url),
            api=api,
            clock=clock,
        )
