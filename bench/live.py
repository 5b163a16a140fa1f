"""Many WebSocket connections, many turns at once: `python -m bench.live [--connections 500] [--turns 100]`.

A provider in a process of its own says the time with every token; what is printed is how much later a client
has it, over the worker and the management API, and whether every token came once and in order.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import orjson
import psutil  # type: ignore[import-untyped]
from rich.console import Console
from rich.table import Table

from bench.paced import TOKENS
from bench.weir import surround
from local.lambda_function import TAKES_EVENTS
from local.process import Child, Launcher, Program, free_port


async def measure(directory: Path, *, connections: int, turns: int) -> bool:
    """Start everything, print the table; whether every token came once and in order."""
    async with Launcher(directory / "logs") as launcher, AsyncExitStack() as stack:
        upstream, port = free_port(), free_port()
        await launcher.start(_program("upstream", "bench.paced", str(upstream)))
        here = await surround(f"http://127.0.0.1:{upstream}/v1", directory, launcher)
        environment = {**here.environment, "WEIR_WEBSOCKET_CALLBACK_URL": f"http://127.0.0.1:{port}"}
        gateway = await launcher.start(
            _program("websocket", "local.servers.websocket", str(port), environment=environment)
        )
        worker = await launcher.start(_program("turns", "local.servers.turns", environment=environment))
        session = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        )
        await gateway.ready(lambda: _healthy(session, port), timeout=60)
        await worker.ready(lambda: _takes_events(worker), timeout=60)
        protocols = ("weir", f"weir.key.{here.key}")
        sockets = [
            await stack.enter_async_context(
                session.ws_connect(f"http://127.0.0.1:{port}/", protocols=protocols)
            )
            for _ in range(connections)
        ]
        started = time.monotonic()
        waits = await asyncio.gather(*(_turn(socket, n) for n, socket in enumerate(sockets[:turns])))
        _show(connections, turns, waits, [gateway, worker], time.monotonic() - started)
        return all(len(each) == TOKENS for each in waits)


async def _turn(socket: aiohttp.ClientWebSocketResponse, number: int) -> list[float]:
    """Milliseconds that each token took to its client, in the order of tokens."""
    question = {"role": "user", "content": f"What is a weir? ({number})"}
    frame = {"type": "chat", "id": "turn", "body": {"model": "bench", "messages": [question]}}
    await socket.send_str(orjson.dumps(frame).decode())
    waits: list[float] = []
    while True:
        told = orjson.loads(await socket.receive_str())
        now = time.monotonic()
        if told["type"] == "done":
            return waits
        if told["type"] == "error":
            raise RuntimeError(told["error"]["message"])
        for event in told.get("events", ()):
            if content := event["data"]["choices"][0]["delta"].get("content"):
                place, at = content.split()
                if int(place) != len(waits):
                    raise RuntimeError(f"token {place} came in place of {len(waits)}")
                waits.append((now - float(at)) * 1000)


def _show(
    connections: int, turns: int, waits: Sequence[Sequence[float]], children: Sequence[Child], seconds: float
) -> None:
    every = sorted(wait for turn in waits for wait in turn)
    cuts = statistics.quantiles(every, n=100)
    table = Table(title=f"{turns} turns of {TOKENS} tokens at once, on {connections} connections")
    table.add_column("")
    table.add_column("", justify="right")
    table.add_row("tokens that came once and in order", f"{len(every)} of {turns * TOKENS}")
    for name, value in (("p50", cuts[49]), ("p95", cuts[94]), ("p99", cuts[98]), ("longest", every[-1])):
        table.add_row(f"wait of a token, {name}, ms", f"{value:.1f}")
    table.add_row("seconds in all", f"{seconds:.1f}")
    for child in children:
        table.add_row(
            f"resident MB of {child.name}", f"{psutil.Process(child.pid).memory_info().rss / 1e6:.0f}"
        )
    Console().print(table)


def _program(name: str, module: str, *arguments: str, environment: dict[str, str] | None = None) -> Program:
    return Program(name=name, argv=[sys.executable, "-m", module, *arguments], environment=environment or {})


async def _healthy(session: aiohttp.ClientSession, port: int) -> bool:
    try:
        async with session.get(f"http://127.0.0.1:{port}/healthz") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


async def _takes_events(child: Child) -> bool:
    return TAKES_EVENTS in child.output()


def main() -> int:
    """Run the command line; 0 when every token came once and in order."""
    parser = argparse.ArgumentParser(prog="python -m bench.live", description=__doc__)
    parser.add_argument("--connections", type=int, default=500)
    parser.add_argument("--turns", type=int, default=100)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="weir-bench-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        whole = asyncio.run(measure(Path(name), connections=options.connections, turns=options.turns))
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main())
