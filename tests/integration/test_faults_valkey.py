"""Chat under load while Valkey is killed, frozen and back again."""

import asyncio
import logging
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
from shared.valkey.client import Valkey
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
    unlimited: asyncio.Event = field(default_factory=asyncio.Event)
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
                (self.limited if _LIMITED in answer.headers else self.unlimited).set()

    async def all_limited(self) -> None:
        """Wait until Valkey is in use by every worker, whatever the start was like."""
        self.unlimited.set()
        while self.unlimited.is_set():
            self.unlimited.clear()
            await self.more(2 * _WORKERS)

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


@pytest.fixture
def asked(monkeypatch) -> list[str]:
    """An entry for each call that really goes to Valkey, whoever makes it; the probe's are not among them."""
    calls: list[str] = []
    call = Valkey._call

    async def counted(self, operation, seconds):
        def begin(client):
            calls.append("asked")
            return operation(client)

        return await call(self, begin, seconds)

    monkeypatch.setattr(Valkey, "_call", counted)
    return calls


async def test_a_frozen_valkey_fails_no_request_and_is_used_again_when_it_is_back(
    load, server, asked
) -> None:
    _, process = server
    await load.all_limited()
    load.slowest = 0.0
    process.send_signal(signal.SIGSTOP)
    try:
        # The requests of this moment wait for it, together and once.
        await asyncio.wait_for(load.unlimited.wait(), 5)
        await load.more(_WORKERS)
        paused = load.slowest
        asked.clear()
        await load.more(100)
        # No later request waits, for none asks.
        assert asked == []
    finally:
        process.send_signal(signal.SIGCONT)
    load.limited.clear()
    await asyncio.wait_for(load.limited.wait(), 5)

    assert set(load.statuses) == {200}
    # 50 ms of waiting, and what a busy machine adds to a request in any case.
    assert 0.05 <= paused < 0.25
    assert asked


async def test_a_killed_valkey_fails_no_request(load, server) -> None:
    _, process = server
    process.kill()
    await load.more(200)

    assert set(load.statuses) == {200}


async def test_a_burst_on_cold_connections_does_not_pass_for_a_valkey_that_is_gone(valkey_url) -> None:
    valkey = Valkey(valkey_url, cluster=False, timeout_ms=200)
    answers = await asyncio.gather(*(valkey.attempt(lambda client: client.ping()) for _ in range(300)))
    await valkey.close()
    assert all(answers)


async def test_a_command_that_valkey_refuses_is_said_and_keeps_nothing_else_away(valkey_url, caplog) -> None:
    logging.getLogger("valkey").addHandler(caplog.handler)
    valkey = Valkey(valkey_url, cluster=False, timeout_ms=2000)
    assert await valkey.attempt(lambda client: client.eval("return nonsense.here", 0)) is None
    assert await valkey.attempt(lambda client: client.ping())
    await valkey.close()
    assert "Valkey refuses a command" in caplog.text
    logging.getLogger("valkey").removeHandler(caplog.handler)
