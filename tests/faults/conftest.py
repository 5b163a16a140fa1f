"""Two chat processes over stores of a test's own, which it may kill, freeze and start again.

These take minutes, so they are left out of a run that names no path: `make test-faults`.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from local.process import Launcher, Program, free_port
from shared.limits.keys import NewKey, create_key
from shared.limits.limits import Limits
from tests.contract.upstream import Upstream, running_upstream
from tests.faults.accounts import Accounting, accounting_program
from tests.faults.load import Load
from tests.faults.stores import ValkeyServer, start_valkey_server
from tests.integration.chat_process import ChatProcess, Client, Surroundings, start_chat
from tests.integration.conftest import (
    aws,
    data,
    database,
    database_url,
    deployment,
    embedding_url,
    launcher,
    local_cloud,
    objects,
    postgres_urls,
    queues,
    tenant_id,
    valkey_url,
)

__all__ = [
    "aws",
    "data",
    "database",
    "database_url",
    "deployment",
    "embedding_url",
    "launcher",
    "local_cloud",
    "objects",
    "postgres_urls",
    "queues",
    "tenant_id",
    "valkey_url",
]

StartChats = Callable[..., Awaitable[list[ChatProcess]]]
NewKeyOf = Callable[..., Awaitable[str]]


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """Whether this folder is left out."""
    return True if config.args_source is pytest.Config.ArgsSource.TESTPATHS else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints what was measured."""
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        for _, figure in report.user_properties if report.when == "call" else ():
            terminalreporter.write_line(f"{report.nodeid.rpartition('/')[2]}: {figure}")


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Keeps a line of what was measured, for the end of the run."""
    return partial(record_property, "figure")


@pytest.fixture(params=["plain", "cluster"])
async def valkey_server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ValkeyServer]:
    """A Valkey of this test's own, once plain and once in cluster mode."""
    async with Launcher(tmp_path / "logs") as running:
        yield await start_valkey_server(tmp_path / "valkey", running, cluster=request.param == "cluster")


@pytest.fixture
async def provider() -> AsyncIterator[AsyncExitStack]:
    """Holds the upstream; closed, the upstream is gone."""
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
async def upstream(provider: AsyncExitStack) -> Upstream:
    """A provider that says what the test tells it to."""
    return await provider.enter_async_context(running_upstream())


@pytest.fixture
async def quick_upstream(launcher: Launcher) -> AsyncIterator[str]:
    """The URL of a provider that answers at once, from a process of its own."""
    port = free_port()
    argv = [sys.executable, "-m", "bench.upstream", str(port)]
    child = await launcher.start(Program(name="upstream", argv=argv))
    await child.ready(lambda: _listens(port))
    yield f"http://127.0.0.1:{port}/v1"
    await child.stop(grace=1)


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


@pytest.fixture
async def idle_accounting(launcher, local_cloud, database_url, queues) -> AsyncIterator[Accounting]:
    """Books what the usage queue holds, once the test has started it."""
    program = accounting_program(local_cloud.environment, database_url, queues.usage)
    worker = Accounting(launcher, program)
    yield worker
    await worker.stop()


@pytest.fixture
async def accounting(idle_accounting: Accounting) -> Accounting:
    """Books what the usage queue holds."""
    await idle_accounting.start()
    return idle_accounting


@pytest.fixture
async def start_loads(start_chats, quick_upstream, session, new_key):
    """Puts load on each of two processes, until the stack that is given ends."""

    async def start(stack: AsyncExitStack, workers: int, **fields: Any) -> list[Load]:
        key = await new_key()
        chats = await start_chats(quick_upstream, **fields)
        loads = [Load(chat, quick_upstream, Client(session, chat, key), session) for chat in chats]
        for load in loads:
            await stack.enter_async_context(load.running(workers))
        await asyncio.gather(*(load.more(100) for load in loads))
        return loads

    return start


@pytest.fixture
async def start_chats(
    launcher, local_cloud, database_url, valkey_server, queues, tmp_path
) -> AsyncIterator[StartChats]:
    """Starts two chat processes in front of an upstream; any field of `Surroundings` may be given."""
    async with AsyncExitStack() as stack:

        async def start(upstream_url: str, **fields: Any) -> list[ChatProcess]:
            given = {
                "cloud": local_cloud.environment,
                "database_url": database_url,
                "valkey_url": valkey_server.url,
                "valkey_cluster": valkey_server.cluster,
                "usage_queue_url": queues.usage,
            }
            environment = Surroundings(**{**given, **fields}, upstream_url=upstream_url).environment(tmp_path)
            starts = (start_chat(launcher, environment, name=f"chat-{number}") for number in "12")
            running = await asyncio.gather(*starts)
            for process in running:
                stack.push_async_callback(process.child.stop, grace=8)
            return list(running)

        yield start


@pytest.fixture
async def new_key(database, tenant_id) -> NewKeyOf:
    """Makes keys of this test's tenant; without limits of their own they have one that is never reached."""

    async def make(**limits: int) -> str:
        given = Limits(**(limits or {"requests_per_minute": 10_000_000}))
        async with database.tenant(tenant_id) as connection:
            new = NewKey(tenant_id=tenant_id, name="test", limits=given)
            return (await create_key(connection, new)).plaintext

    return make


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """Connections as many as a test wants."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as running:
        yield running
