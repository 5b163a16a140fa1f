"""PostgreSQL is stopped, and started again, while two chat processes are under load."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import psycopg
import pytest

from local.components.postgres import PostgresUrls, start_postgres
from local.process import Child, Launcher
from shared.postgres.database import Database
from tests.faults.accounts import all_booked
from tests.faults.load import answered, failed

_WORKERS = 2

# Seconds: more than a process and Valkey together go by what they know of a key.
_OUTAGE = 6.0

pytestmark = pytest.mark.parametrize("valkey_server", ["plain"], indirect=True)


class PostgresServer:
    """A PostgreSQL of this test's own."""

    def __init__(self, urls: PostgresUrls, launcher: Launcher, child: Child) -> None:
        self.urls = urls
        self._launcher = launcher
        self._child = child

    async def stop(self) -> None:
        """Break all connections and end it."""
        await self._child.stop(grace=10)

    async def start_again(self) -> None:
        """Start it over the same data, and wait until it answers."""
        self._child = await self._launcher.start(self._child.program)
        await self._child.ready(self._answers)

    async def _answers(self) -> bool:
        try:
            async with await psycopg.AsyncConnection.connect(self.urls.login, connect_timeout=2):
                return True
        except psycopg.OperationalError:
            return False


@pytest.fixture
async def postgres(data: Path, tmp_path: Path) -> AsyncIterator[PostgresServer]:
    async with Launcher(tmp_path / "postgres-logs") as running:
        urls = await start_postgres(data / "own-postgres", running, durable=False)
        (child,) = running.children
        yield PostgresServer(urls, running, child)


@pytest.fixture
def database_url(postgres: PostgresServer) -> str:
    return postgres.urls.login


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    running = Database(database_url, pool_size=2)
    await running.open()
    yield running
    await running.close()


async def test_stopped(start_loads, postgres, accounting, database, tenant_id, figure) -> None:
    async with AsyncExitStack() as stack:
        loads = await start_loads(stack, _WORKERS, usage_delivery="background")
        stopped_at = time.monotonic()
        await postgres.stop()
        await asyncio.sleep(_OUTAGE)
        back_at = time.monotonic()
        await postgres.start_again()
        await asyncio.gather(*(load.more(100) for load in loads))

    for load in loads:
        during = [a.seconds for a in load.answers if stopped_at < a.began < back_at]
        figure(f"{len(during)} answers without PostgreSQL, the slowest took {max(during) * 1000:.0f} ms")
        assert len(during) > 100
    assert failed(loads) == []
    assert await all_booked(database, tenant_id, answered(loads)) == answered(loads)
