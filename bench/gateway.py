"""Weir beside LiteLLM's proxy and Portkey's gateway in one run, before the same provider.

The provider answers at once from a process of its own, so what is added to a direct call is the gateway's.
Weir has all on as in production (`bench/weir.py`); the others have less (`bench/peers.py`). Each is one
process and is asked in turn with the others. Other work on the machine makes all figures worse.

    python -m bench.gateway [--without-peers] [--rounds 300]
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import psutil  # type: ignore[import-untyped]
from rich.console import Console
from rich.table import Table

from bench.load import CONNECTIONS, Target, Timing, hits, in_turn, throughput
from bench.peers import litellm, portkey
from bench.upstream import EVENTS
from bench.weir import weir
from local.process import Child, Launcher, LocalError, Program, free_port

_START_SECONDS = 120

Samples = Mapping[str, Sequence[Timing]]


@dataclass(frozen=True)
class Running:
    """A gateway that answers, and the seconds from its start to its first answer."""

    target: Target
    child: Child
    start_seconds: float


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Everything the table shows, by the targets' names."""

    buffered: Samples
    streamed: Samples
    hits: Samples
    rates: Mapping[str, float]
    megabytes: Mapping[str, float]


async def measure(directory: Path, *, rounds: int, peers: bool) -> None:
    """Start everything, print the table, end everything."""
    console = Console()
    async with Launcher(directory / "logs") as launcher:
        port = free_port()
        argv = [sys.executable, "-m", "bench.upstream", str(port)]
        await launcher.start(Program(name="upstream", argv=argv))
        upstream = f"http://127.0.0.1:{port}/v1"
        running = [await _start(launcher, *await weir(upstream, directory, launcher))]
        for peer in (litellm, portkey) if peers else ():
            try:
                running.append(await _start(launcher, *await peer(upstream, directory)))
            except LocalError as error:
                console.print(f"Left out: {error}", style="yellow", markup=False)
        direct = Target(name="direct", url=upstream, headers={"Content-Type": "application/json"})
        gateways = [gateway.target for gateway in running]
        measured = Measured(
            buffered=await in_turn([direct, *gateways], rounds, stream=False),
            streamed=await in_turn([direct, *gateways], rounds, stream=True),
            hits=await hits(gateways, rounds, upstream),
            rates=await throughput([direct, *gateways]),
            megabytes={gateway.target.name: _megabytes(gateway.child) for gateway in running},
        )
    console.print(_table(running, measured))


async def _start(launcher: Launcher, program: Program, target: Target) -> Running:
    started = time.perf_counter()
    child = await launcher.start(program)
    async with aiohttp.ClientSession() as session:
        await child.ready(lambda: target.works(session, stream=False), timeout=_START_SECONDS)
    return Running(target, child, time.perf_counter() - started)


def _megabytes(child: Child) -> float:
    process = psutil.Process(child.pid)
    resident = sum(p.memory_info().rss for p in (process, *process.children(recursive=True)))
    return float(resident) / 1024**2


def _table(running: Sequence[Running], measured: Measured) -> Table:
    names = [gateway.target.name for gateway in running]
    table = Table("", "direct", *names, title="Milliseconds are the median's, over those of a direct call")
    first, whole = (lambda timing: timing.first), (lambda timing: timing.whole)
    _add(table, names, "buffered, added ms", measured.buffered, whole)
    _add(table, names, f"{EVENTS} events, first, added ms", measured.streamed, first)
    _add(table, names, f"{EVENTS} events, all, added ms", measured.streamed, whole)
    taken = {name: f"{_median(measured.hits[name], whole):.2f}" for name in measured.hits}
    table.add_row("exact hit, ms in all", "", *(taken.get(name, "no hit") for name in names))
    rates = [f"{measured.rates[name]:.0f}" for name in ("direct", *names)]
    table.add_row(f"{CONNECTIONS} connections, requests/s", *rates)
    table.add_row("start to first 200, s", "", *(f"{gateway.start_seconds:.2f}" for gateway in running))
    table.add_row("resident MB after all this", "", *(f"{measured.megabytes[name]:.0f}" for name in names))
    return table


def _add(
    table: Table, names: Sequence[str], title: str, samples: Samples, part: Callable[[Timing], float]
) -> None:
    direct = _median(samples["direct"], part)
    added = (f"{_median(samples[n], part) - direct:.2f}" if n in samples else "fails" for n in names)
    table.add_row(title, f"({direct:.2f})", *added)


def _median(timings: Sequence[Timing], part: Callable[[Timing], float]) -> float:
    return statistics.median(map(part, timings))


def main() -> None:
    """Measure with all data in a temporary directory."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=300, help="calls of each kind to each gateway")
    parser.add_argument("--without-peers", action="store_true", help="measure Weir alone")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="weir-bench-", ignore_cleanup_errors=True) as name:
        # PostgreSQL runs as another user when this runs as root.
        Path(name).chmod(0o755)
        asyncio.run(measure(Path(name), rounds=chosen.rounds, peers=not chosen.without_peers))


if __name__ == "__main__":
    main()
