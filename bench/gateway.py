"""What Weir adds to a call: the same request to a provider directly and through the chat function, in turn.

Everything is on as in production: a key in PostgreSQL and Valkey, limits of that key, one usage record per
request to SQS. The provider answers at once from a process of its own, so the difference is Weir's.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from rich.console import Console
from rich.table import Table

from local.components.cloud import install_cloud, start_cloud
from local.components.models import answers
from local.components.postgres import start_postgres
from local.components.storage import Deployment
from local.components.valkey import start_valkey
from local.process import Launcher, Program, free_port
from shared.limits.keys import NewKey, create_key, create_tenant
from shared.postgres.database import Database

ROUNDS = 400
CONNECTIONS = 16
CONCURRENT_REQUESTS = 3000

_CATALOG = """
[[providers]]
name = "bench"
base_url = "http://127.0.0.1:{port}/v1"
secret = "none"
[[providers.models]]
kind = "chat"
name = "bench"
context_window = 8192
price = {{ input = "1", output = "2" }}
"""


@dataclass(frozen=True)
class Target:
    """Where a request goes, and with what key."""

    url: str
    key: str

    async def ask(self, session: aiohttp.ClientSession, *, stream: bool) -> tuple[float, float]:
        """Milliseconds to the first byte and to the last."""
        body = {"model": "bench", "messages": [{"role": "user", "content": "What is a weir?"}]}
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        data = _json({**body, "stream": True} if stream else body)
        started = time.perf_counter()
        async with session.post(f"{self.url}/chat/completions", data=data, headers=headers) as answer:
            answer.raise_for_status()
            first = 0.0
            async for _ in answer.content.iter_any():
                first = first or time.perf_counter()
        return (first - started) * 1000, (time.perf_counter() - started) * 1000


@asynccontextmanager
async def targets(directory: Path) -> AsyncIterator[tuple[Target, Target]]:
    """The provider itself, and the chat function in front of it."""
    async with Launcher(directory / "logs") as launcher:
        await install_cloud()
        urls, valkey, cloud = await asyncio.gather(
            start_postgres(directory / "postgres", launcher, durable=False),
            start_valkey(directory / "valkey", launcher),
            start_cloud(directory / "cloud", launcher),
        )
        deployment = Deployment(cloud)
        queues = await deployment.queues("bench")
        await deployment.secret("weir/database", urls.login)
        upstream, port = free_port(), free_port()
        catalog = directory / "catalog.toml"
        catalog.write_text(_CATALOG.format(port=upstream))
        await launcher.start(
            Program(name="upstream", argv=[sys.executable, "-m", "bench.upstream", str(upstream)])
        )
        uvicorn = ["-m", "uvicorn", "chat.handler:app", f"--port={port}", "--log-level=warning"]
        chat = Program(
            name="chat",
            argv=[sys.executable, *uvicorn, "--no-access-log", "--app-dir=functions"],
            environment={
                **cloud.environment,
                "PYTHONPATH": ".",
                "WEIR_DATABASE_SECRET": "secretsmanager:weir/database",
                "WEIR_VALKEY_URL": valkey,
                # A busy machine must not pass for a slow Valkey.
                "WEIR_VALKEY_TIMEOUT_MS": "1000",
                "WEIR_USAGE_QUEUE_URL": queues.usage,
                "WEIR_USAGE_DELIVERY": "background",
                "WEIR_CATALOG": str(catalog),
            },
        )
        child = await launcher.start(chat)
        await child.ready(lambda: answers(f"http://127.0.0.1:{port}/healthz"))
        key = await _key(urls.login)
        yield Target(f"http://127.0.0.1:{upstream}/v1", "none"), Target(f"http://127.0.0.1:{port}/v1", key)


async def _key(database_url: str) -> str:
    database = Database(database_url, pool_size=1)
    await database.open()
    try:
        async with database.tenant("bench") as connection:
            await create_tenant(connection, "bench", "bench")
            limits = NewKey(
                tenant_id="bench",
                name="bench",
                requests_per_minute=10_000_000,
                tokens_per_minute=1_000_000_000,
            )
            return (await create_key(connection, limits)).plaintext
    finally:
        await database.close()


async def _in_turn(direct: Target, weir: Target, *, stream: bool) -> list[list[tuple[float, float]]]:
    timings: list[list[tuple[float, float]]] = [[], []]
    async with aiohttp.ClientSession() as session:
        for round_number in range(ROUNDS + 50):
            for target, kept in zip((direct, weir), timings, strict=True):
                timing = await target.ask(session, stream=stream)
                if round_number >= 50:
                    kept.append(timing)
    return timings


async def _throughput(target: Target) -> float:
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    async with aiohttp.ClientSession(connector=connector) as session:
        left = iter(range(CONCURRENT_REQUESTS))

        async def worker() -> None:
            for _ in left:
                await target.ask(session, stream=False)

        started = time.perf_counter()
        await asyncio.gather(*(worker() for _ in range(CONNECTIONS)))
        return CONCURRENT_REQUESTS / (time.perf_counter() - started)


def _json(body: object) -> bytes:
    import orjson

    return orjson.dumps(body)


def _row(table: Table, name: str, direct: list[float], weir: list[float]) -> None:
    middle = [statistics.median(direct), statistics.median(weir)]
    added = middle[1] - middle[0]
    p99 = statistics.quantiles(weir, n=100)[98]
    table.add_row(name, *(f"{value:.2f}" for value in (*middle, added, p99)))


async def measure(directory: Path) -> None:
    """Print the table."""
    async with targets(directory) as (direct, weir):
        table = Table("", "direct p50", "Weir p50", "added p50", "Weir p99", title="milliseconds")
        plain = await _in_turn(direct, weir, stream=False)
        _row(table, "buffered", *([total for _, total in side] for side in plain))
        streams = await _in_turn(direct, weir, stream=True)
        _row(table, "64 events, first byte", *([first for first, _ in side] for side in streams))
        _row(table, "64 events, all", *([total for _, total in side] for side in streams))
        rates = [await _throughput(target) for target in (direct, weir)]
    console = Console()
    console.print(table)
    console.print(
        f"{CONNECTIONS} connections, one worker: direct {rates[0]:.0f} requests/s, Weir {rates[1]:.0f}"
    )


def main() -> None:
    """Measure with all data in a temporary directory."""
    with tempfile.TemporaryDirectory(prefix="weir-bench-", ignore_cleanup_errors=True) as name:
        # PostgreSQL runs as another user when this runs as root.
        Path(name).chmod(0o755)
        asyncio.run(measure(Path(name)))


if __name__ == "__main__":
    main()
