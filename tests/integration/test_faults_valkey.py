"""Chat under load while Valkey is killed, frozen and back again."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import psutil
import pytest

from chat.settings import ChatSettings
from local.components.valkey import start_valkey
from local.process import Launcher
from shared.limits.keys import NewKey, create_key
from shared.limits.limits import Limits
from tests.contract.upstream import Reply, running_upstream
from tests.integration.test_bad_input import CATALOG, COMPLETION
from tests.integration.test_chat import serving

pytestmark = pytest.mark.usefixtures("aws")

_WORKERS = 4
_LIMITED = "x-ratelimit-remaining-requests"


@dataclass
class Load:
    """Requests of several workers, one after another each, until it is stopped."""

    url: str
    key: str
    statuses: list[int] = field(default_factory=list)
    slowest: float = 0.0
    limited: asyncio.Event = field(default_factory=asyncio.Event)
    answered: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def worker(self, session: aiohttp.ClientSession) -> None:
        body = {"model": "test-model", "messages": [{"role": "user", "content": "Hello"}]}
        headers = {"Authorization": f"Bearer {self.key}"}
        while True:
            begun = time.monotonic()
            url = f"{self.url}/chat/completions"
            async with session.post(url, json=body, headers=headers) as answer:
                await answer.read()
                self.slowest = max(self.slowest, time.monotonic() - begun)
                self.statuses.append(answer.status)
                async with self.answered:
                    self.answered.notify_all()
                if _LIMITED in answer.headers:
                    self.limited.set()

    async def more(self, count: int) -> None:
        """Wait for so many more answers."""
        wanted = len(self.statuses) + count
        async with self.answered:
            await self.answered.wait_for(lambda: len(self.statuses) >= wanted)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[tuple[str, psutil.Process]]:
    """A Valkey of this test's own, and its process."""
    async with Launcher(tmp_path / "logs") as launcher:
        url = await start_valkey(tmp_path / "valkey", launcher)
        port = url.rsplit(":", 1)[1]
        mine = psutil.Process(os.getpid()).children(recursive=True)
        yield url, next(process for process in mine if port in " ".join(process.cmdline()))


@pytest.fixture
async def load(
    server, database_url, database, tenant_id, queues, tmp_path, monkeypatch
) -> AsyncIterator[Load]:
    monkeypatch.setenv("TEST_DATABASE_URL", database_url)
    new = NewKey(tenant_id=tenant_id, name="test", limits=Limits(requests_per_minute=1_000_000))
    async with database.tenant(tenant_id) as connection:
        key = (await create_key(connection, new)).plaintext
    async with running_upstream() as upstream:
        upstream.replies = [Reply(COMPLETION)]
        catalog = tmp_path / "catalog.toml"
        catalog.write_text(CATALOG.format(url=upstream.url))
        settings = ChatSettings(
            database_secret="env:TEST_DATABASE_URL",
            valkey_url=server[0],
            usage_queue_url=queues.usage,
            usage_delivery="background",
            catalog=str(catalog),
            provider_secrets="env:NO_SUCH_{PROVIDER}",
        )
        async with serving(settings) as url, aiohttp.ClientSession() as session:
            running = Load(url, key)
            workers = [asyncio.create_task(running.worker(session)) for _ in range(_WORKERS)]
            await running.more(20)
            assert running.limited.is_set()
            yield running
            for worker in workers:
                worker.cancel()
            await asyncio.wait(workers)


async def test_a_frozen_valkey_fails_no_request_and_is_used_again_when_it_is_back(load, server) -> None:
    _, process = server
    load.slowest = 0.0
    process.send_signal(signal.SIGSTOP)
    try:
        # The requests of this moment wait for it, together and once.
        await load.more(_WORKERS)
        paused = load.slowest
        load.slowest = 0.0
        await load.more(100)
    finally:
        process.send_signal(signal.SIGCONT)
    load.limited.clear()
    await asyncio.wait_for(load.limited.wait(), 5)

    assert set(load.statuses) == {200}
    # 50 ms of waiting, and what a busy machine adds to a request in any case.
    assert 0.05 <= paused < 0.25
    assert load.slowest < paused + 0.1


async def test_a_killed_valkey_fails_no_request(load, server) -> None:
    _, process = server
    process.kill()
    await load.more(200)

    assert set(load.statuses) == {200}
