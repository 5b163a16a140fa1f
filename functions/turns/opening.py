"""Opens what turns are answered with, for the life of the process."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime

from shared.aws.management_api import ManagementApi
from shared.completion.opening import open_completion
from shared.telemetry import Logger
from shared.websocket.turns import Turns
from turns.settings import TurnsSettings
from turns.worker import Worker


@asynccontextmanager
async def open_worker(
    settings: TurnsSettings, clock: Callable[[], datetime], log: Logger
) -> AsyncIterator[Worker]:
    """A worker as the settings say; its connections are closed at the end."""
    async with AsyncExitStack() as stack:
        opened = await stack.enter_async_context(open_completion(settings, clock, log))
        api = ManagementApi(settings.websocket_callback_url)
        stack.push_async_callback(api.close)
        yield Worker(
            services=opened.services,
            keyring=opened.keyring,
            turns=Turns(
                opened.valkey,
                per_connection=settings.turns_per_connection,
                # Out before the message comes back.
                lease_seconds=settings.turn_lost_seconds / 3,
            ),
            api=api,
            clock=clock,
        )
