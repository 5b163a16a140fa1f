"""A provider on loopback that says what a test tells it to, and keeps what it was asked."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

TRANSCRIPTS = Path(__file__).parent / "transcripts"


@dataclass(frozen=True)
class Reply:
    """A whole answer; `hold` keeps it back until the test sets it. A `text` takes the place of the body."""

    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    hold: asyncio.Event | None = None
    text: str | None = None


@dataclass(frozen=True)
class StreamReply:
    """A stream, in these pieces, so many seconds apart; `hold` keeps the last back until the test sets it."""

    pieces: Sequence[bytes]
    hold: asyncio.Event | None = None
    abort: bool = False
    pause: float = 0.0


class Upstream:
    """Answers requests with the replies in order; the last reply stays."""

    def __init__(self) -> None:
        self.replies: list[Reply | StreamReply] = []
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.asked = asyncio.Event()
        self.gone = asyncio.Event()
        self.url = ""

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(await request.json())
        self.asked.set()
        self.headers.append(dict(request.headers))
        self.paths.append(request.path)
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(reply, Reply):
            if reply.hold:
                await self._held(reply.hold)
            text = json.dumps(reply.body) if reply.text is None else reply.text
            return web.Response(
                text=text, status=reply.status, headers=reply.headers, content_type="application/json"
            )
        return await self._stream(request, reply)

    async def _held(self, hold: asyncio.Event) -> None:
        try:
            await hold.wait()
        except asyncio.CancelledError:
            self.gone.set()
            raise

    async def _stream(self, request: web.Request, reply: StreamReply) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        try:
            for position, piece in enumerate(reply.pieces):
                if reply.hold and position == len(reply.pieces) - 1:
                    await reply.hold.wait()
                if reply.pause:
                    await asyncio.sleep(reply.pause)
                await response.write(piece)
            if reply.abort and request.transport:
                request.transport.abort()
        except (ConnectionError, asyncio.CancelledError):
            self.gone.set()
            raise
        return response


@asynccontextmanager
async def running_upstream() -> AsyncIterator[Upstream]:
    """An upstream on a free port, its handlers cancelled when their caller goes away."""
    upstream = Upstream()
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_post("/v1/{path:.*}", upstream._answer)
    server = TestServer(app)
    await server.start_server()
    upstream.url = str(server.make_url("/v1"))
    try:
        yield upstream
    finally:
        await server.close()


def transcript(name: str) -> list[dict[str, Any]]:
    """The chunks of a recorded stream, one JSON a line."""
    return read_transcript(TRANSCRIPTS / f"{name}.chunks.txt")


def read_transcript(path: Path) -> list[dict[str, Any]]:
    """The chunks in a file of this form."""
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line.strip()]


def as_events(chunks: Sequence[Any], *, done: bool = True, keep_alive: bool = False) -> bytes:
    """A stream's bytes; with `keep_alive`, DeepSeek's comments between the events."""
    lines = [b"data: " + json.dumps(c, ensure_ascii=False).encode() + b"\n\n" for c in chunks]
    if keep_alive:
        lines = [piece for line in lines for piece in (b": keep-alive\n\n", line)]
    return b"".join(lines) + (b"data: [DONE]\n\n" if done else b"")
