"""The WebSocket API and its workers as processes, a provider that a test holds, and a client."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from local.lambda_function import TAKES_EVENTS
from local.process import ROOT, Child, Launcher, Program, free_port

MODEL = "test-model"


@dataclass(frozen=True)
class Live:
    """A running WebSocket API. `environment` is that of its processes."""

    url: str
    environment: Mapping[str, str]
    launcher: Launcher

    async def start_worker(self, name: str) -> Child:
        """One more worker of turns."""
        argv = [sys.executable, "-m", "local.servers.turns"]
        child = await self.launcher.start(Program(name=name, argv=argv, environment=self.environment))
        await child.ready(lambda: _takes_events(child))
        return child

    @asynccontextmanager
    async def connect(self, *protocols: str) -> AsyncIterator["Client"]:
        """A client that offers these subprotocols beside `weir`."""
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(self.url, protocols=("weir", *protocols)) as socket,
        ):
            yield Client(socket)


class Client:
    """One connection. `frames` is all that came; `patience` the seconds that it waits for more."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, patience: float = 30) -> None:
        self.socket = socket
        self.patience = patience
        self.frames: list[dict[str, Any]] = []

    async def send(self, **frame: Any) -> None:
        """Send one frame."""
        await self.socket.send_str(orjson.dumps(frame).decode())

    async def chat(self, turn_id: str, question: str, **fields: Any) -> None:
        """Begin a turn."""
        body = {"model": MODEL, "messages": [{"role": "user", "content": question}], **fields}
        await self.send(type="chat", id=turn_id, body=body)

    async def until(self, enough: Callable[[], bool]) -> None:
        """Read frames until there are enough of them."""
        async with asyncio.timeout(self.patience):
            while not enough():
                self.frames.append(orjson.loads(await self.socket.receive_str()))

    async def until_frame(self, kind: str, turn_id: str | None = None) -> dict[str, Any]:
        """Read until a frame of this type, of this turn."""
        await self.until(lambda: bool(self.of(kind, turn_id)))
        return self.of(kind, turn_id)[-1]

    def of(self, kind: str, turn_id: str | None = None) -> list[dict[str, Any]]:
        """The frames of one type that came, of one turn if given."""
        return [f for f in self.frames if f["type"] == kind and (turn_id is None or f.get("id") == turn_id)]

    def events(self, turn_id: str) -> list[tuple[int, Any]]:
        """The events of a turn that came, in order."""
        return [(e["id"], e["data"]) for frame in self.of("events", turn_id) for e in frame["events"]]


async def start_live(launcher: Launcher, environment: Mapping[str, str], queue_url: str) -> Live:
    """Start the WebSocket API; workers are started one by one."""
    port = free_port()
    variables = {
        **environment,
        "PYTHONPATH": f"{ROOT / 'functions'}:{ROOT}",
        "WEIR_TURNS_QUEUE_URL": queue_url,
        "WEIR_TURN_LOST_SECONDS": "3",
        "WEIR_TURNS_PER_CONNECTION": "3",
        "WEIR_WEBSOCKET_CALLBACK_URL": f"http://127.0.0.1:{port}",
    }
    argv = [sys.executable, "-m", "local.servers.websocket", str(port)]
    child = await launcher.start(Program(name="websocket", argv=argv, environment=variables))
    async with aiohttp.ClientSession() as session:
        await child.ready(lambda: _healthy(session, port))
    return Live(f"http://127.0.0.1:{port}/", variables, launcher)


async def _healthy(session: aiohttp.ClientSession, port: int) -> bool:
    try:
        async with session.get(f"http://127.0.0.1:{port}/healthz") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


async def _takes_events(child: Child) -> bool:
    return TAKES_EVENTS in child.output()
