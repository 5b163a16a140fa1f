"""Resident memory of one chat process over many streamed requests: it must stay flat.

Every request is a question of its own, so each takes the whole way: key, limits, cache, single flight, log,
provider, usage record. Between two samples the load pauses until every answer is read, so that what is
measured is kept and not under way. The first requests fill pools, arenas and caches, which have bounds;
a leak shows in what comes after.

    python -m bench.memory [--requests 20000]

Ends with status 1 when memory grew by more than `_BOUND_MB` over the last three quarters. 5 MB are 350 bytes
a request over 15,000: one object that is forgotten per request takes more, while the allocator alone moves
less than half of it up and down.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import psutil  # type: ignore[import-untyped]
from rich.console import Console
from rich.table import Table

from bench.load import CONNECTIONS, Target
from bench.weir import weir
from local.process import Child, Launcher, Program, free_port

_BOUND_MB = 5.0
_START_SECONDS = 60

# Where the curve is sampled, and from which of these on it must be flat, in parts of all requests.
_SAMPLES, _WARM = (0.1, 0.25, 0.5, 0.75, 1.0), 0.25


@dataclass(frozen=True)
class Sample:
    """Resident megabytes after so many requests, and how many a second there were since the last sample."""

    requests: int
    megabytes: float
    rate: float


async def measure(directory: Path, requests: int) -> list[Sample]:
    """The curve of one process."""
    async with Launcher(directory / "logs") as launcher:
        port = free_port()
        argv = [sys.executable, "-m", "bench.upstream", str(port)]
        await launcher.start(Program(name="upstream", argv=argv))
        program, target = await weir(f"http://127.0.0.1:{port}/v1", directory, launcher)
        child = await launcher.start(program)
        connector = aiohttp.TCPConnector(limit=CONNECTIONS)
        async with aiohttp.ClientSession(connector=connector) as session:
            await child.ready(lambda: target.works(session, stream=True), timeout=_START_SECONDS)
            return await _curve(session, target, child, [round(requests * part) for part in _SAMPLES])


async def _curve(
    session: aiohttp.ClientSession, target: Target, child: Child, counts: Sequence[int]
) -> list[Sample]:
    samples, asked = [Sample(0, _megabytes(child), 0.0)], 0
    for count in counts:
        began = time.perf_counter()
        await _ask(session, target, count - asked)
        rate = (count - asked) / (time.perf_counter() - began)
        samples.append(Sample(count, _megabytes(child), rate))
        asked = count
    return samples


async def _ask(session: aiohttp.ClientSession, target: Target, count: int) -> None:
    numbers = iter(range(count))

    async def worker() -> None:
        for _ in numbers:
            await target.ask(session, stream=True)

    await asyncio.gather(*(worker() for _ in range(CONNECTIONS)))


def _megabytes(child: Child) -> float:
    return float(psutil.Process(child.pid).memory_info().rss) / 1024**2


def _growth(samples: Sequence[Sample]) -> float:
    """Megabytes by which memory grew once the process was warm."""
    warm = next(s for s in samples if s.requests >= samples[-1].requests * _WARM)
    return samples[-1].megabytes - warm.megabytes


def _table(samples: Sequence[Sample]) -> Table:
    table = Table("streamed requests", "resident MB", "requests/s", title="One chat process")
    for sample in samples:
        table.add_row(f"{sample.requests:,}", f"{sample.megabytes:.1f}", f"{sample.rate:.0f}")
    return table


def main() -> int:
    """Measure with all data in a temporary directory; the exit status says whether memory is flat."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=20_000)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="weir-bench-", ignore_cleanup_errors=True) as name:
        # PostgreSQL runs as another user when this runs as root.
        Path(name).chmod(0o755)
        samples = asyncio.run(measure(Path(name), chosen.requests))
    console, growth = Console(), _growth(samples)
    console.print(_table(samples))
    console.print(f"Growth once warm: {growth:+.1f} MB (at most {_BOUND_MB:.0f})")
    return int(growth > _BOUND_MB)


if __name__ == "__main__":
    sys.exit(main())
