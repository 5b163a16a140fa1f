"""Live chat beside a batch: `python -m bench.beside_batch [--pairs 10] [--pause 0.3]`.

Short windows take turns in which the batch's process runs or is stopped, so that both kinds see the same load
of the machine. The provider answers after a pause that is shorter than any model takes; with `--pause 0` a
batch asks as fast as it can, and what is measured is Weir's part alone.
"""

import argparse
import asyncio
import os
import signal
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import orjson
from rich.console import Console
from rich.table import Table

from bench.load import Target, Timing
from bench.weir import TENANT, Surroundings, chat, surround
from local.functions import behind
from local.lambda_function import TAKES_EVENTS
from local.process import Child, Launcher, Program, free_port
from shared.aws.objects import Objects
from shared.aws.queues import Queue
from shared.batch.messages import AdvanceBatch
from shared.batch.models import Counts, NewBatch
from shared.batch.records import create_batch, get_batch
from shared.files.models import NewFile
from shared.files.records import create_file, mark_uploaded
from shared.postgres.database import Database

LINES = 50_000
CLIENTS, PAUSE_SECONDS, WINDOW_SECONDS = 4, 0.1, 5.0

# What the batch may do to live chat's 95th percentile.
ALLOWED = 1.3


@dataclass
class Windows:
    """Live requests with the batch stopped and running, and what the batch did meanwhile."""

    without: list[Timing] = field(default_factory=list)
    beside: list[Timing] = field(default_factory=list)
    lines: int = 0


async def measure(directory: Path, pairs: int, pause: float) -> bool:
    """Start everything, print the table; whether the batch kept behind live chat."""
    async with Launcher(directory / "logs") as launcher:
        port = free_port()
        await launcher.start(_program("upstream", "bench.upstream", str(port), str(pause)))
        here = await surround(f"http://127.0.0.1:{port}/v1", directory, launcher)
        os.environ.update(here.environment)
        program, target = chat(here)
        answering = await launcher.start(program)
        await answering.ready(lambda: _answers(target), timeout=120)
        worker = await launcher.start(
            behind(_program("batch", "local.servers.worker", "batch", here.batch_queue, here=here))
        )
        await worker.ready(lambda: _takes_events(worker), timeout=120)
        database = Database(here.database_url, pool_size=1)
        await database.open()
        try:
            windows = await _take_turns(worker, target, database, await _begun(database, here), pairs)
        finally:
            await database.close()
    return _show(windows, pairs)


async def _begun(database: Database, here: Surroundings) -> str:
    """A batch whose first lines are answered."""
    now, key = datetime.now(UTC), here.key_id
    new = NewFile(tenant_id=TENANT, filename="input.jsonl", purpose="batch")
    async with database.tenant(TENANT) as connection:
        file = await create_file(connection, new, now)
        content = b"".join(map(_line, range(LINES)))
        await Objects(here.environment["WEIR_BUCKET"]).put(file.object_key, content, "application/jsonl")
        await mark_uploaded(connection, file.file_id, len(content))
        asked = NewBatch(
            tenant_id=TENANT, key_id=key, endpoint="/v1/chat/completions", input_file_id=file.file_id
        )
        batch_id = (await create_batch(connection, asked, now)).batch_id
    await Queue(here.batch_queue).send([AdvanceBatch(tenant_id=TENANT, batch_id=batch_id)])
    async with asyncio.timeout(300):
        while not (await _counts(database, batch_id)).completed:  # noqa: ASYNC110 - another process works on it
            await asyncio.sleep(0.2)
    return batch_id


def _line(number: int) -> bytes:
    body = {"model": "bench", "messages": [{"role": "user", "content": f"line {number}"}]}
    line = {"custom_id": f"{number}", "method": "POST", "url": "/v1/chat/completions", "body": body}
    return orjson.dumps(line) + b"\n"


async def _counts(database: Database, batch_id: str) -> Counts:
    async with database.tenant(TENANT) as connection:
        return (await get_batch(connection, batch_id)).counts


async def _take_turns(
    worker: Child, target: Target, database: Database, batch_id: str, pairs: int
) -> Windows:
    windows = Windows()
    async with aiohttp.ClientSession() as session:
        await _window(session, target)
        for number in range(pairs):
            # Which comes first changes, so that neither gains by what the machine does over time.
            for running in (number % 2 == 0, number % 2 == 1):
                before = await _counts(database, batch_id)
                if running:
                    windows.beside += await _window(session, target)
                else:
                    with _stopped(worker):
                        windows.without += await _window(session, target)
                windows.lines += (await _counts(database, batch_id)).completed - before.completed
    if (await _counts(database, batch_id)).completed == LINES:
        raise RuntimeError("the batch was done before the last window: more lines are needed")
    return windows


@contextmanager
def _stopped(worker: Child) -> Iterator[None]:
    os.kill(worker.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(worker.pid, signal.SIGCONT)


async def _window(session: aiohttp.ClientSession, target: Target) -> list[Timing]:
    timings: list[Timing] = []
    with_end = asyncio.get_running_loop().time() + WINDOW_SECONDS

    async def client() -> None:
        while asyncio.get_running_loop().time() < with_end:
            timings.append(await target.ask(session, stream=True))
            await asyncio.sleep(PAUSE_SECONDS)

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return timings


def _show(windows: Windows, pairs: int) -> bool:
    table = Table("live chat, ms", "without", "beside", "ratio", title=f"{pairs} windows of each kind")
    kept = []
    for name, part in (("first token", "first"), ("whole answer", "whole")):
        for percentile in (50, 95):
            without, beside = (
                _percentile([getattr(timing, part) for timing in kind], percentile)
                for kind in (windows.without, windows.beside)
            )
            ratio = beside / without
            table.add_row(f"{name}, p{percentile}", f"{without:.1f}", f"{beside:.1f}", f"{ratio:.2f}")
            kept += [ratio <= ALLOWED] if percentile == 95 else []
    table.add_row("requests", f"{len(windows.without)}", f"{len(windows.beside)}", "")
    table.add_row("lines of the batch a second", "", f"{windows.lines / (pairs * WINDOW_SECONDS):.0f}", "")
    Console().print(table)
    return all(kept)


def _percentile(values: Sequence[float], percentile: int) -> float:
    return statistics.quantiles(values, n=100)[percentile - 1]


def _program(name: str, module: str, *arguments: str, here: Surroundings | None = None) -> Program:
    environment: Mapping[str, str] = here.environment if here else {}
    return Program(name=name, argv=[sys.executable, "-m", module, *arguments], environment=environment)


async def _answers(target: Target) -> bool:
    async with aiohttp.ClientSession() as session:
        return await target.works(session, stream=True)


async def _takes_events(child: Child) -> bool:
    return TAKES_EVENTS in child.output()


def main() -> int:
    """Run the command line; 0 when the batch kept behind live chat."""
    parser = argparse.ArgumentParser(prog="python -m bench.beside_batch", description=__doc__)
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--pause", type=float, default=0.3, help="seconds that the provider takes")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="weir-bench-", ignore_cleanup_errors=True) as name:
        # PostgreSQL runs as another user when this runs as root.
        Path(name).chmod(0o755)
        return 0 if asyncio.run(measure(Path(name), options.pairs, options.pause)) else 1


if __name__ == "__main__":
    sys.exit(main())
