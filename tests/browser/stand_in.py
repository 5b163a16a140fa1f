"""A loopback server that serves the page and speaks the endpoints it uses, as a test scripts them.

Two addresses: the gateway, and an object store for presigned uploads, which is another origin to the browser
just as S3 is.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

PAGE = Path(__file__).resolve().parents[2] / "functions" / "api" / "page"
KEY = "sk-weir-browser-test"

# A step of a scripted answer: bytes to write, or an event to wait for before the next step.
Step = bytes | asyncio.Event


def event(delta: dict[str, Any], finish: str | None = None) -> bytes:
    """One chunk of a streamed answer as a server-sent event, with characters outside ASCII as UTF-8."""
    chunk = {
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }
    return f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n".encode()


def answer(*pieces: str, annotations: Sequence[dict[str, Any]] = ()) -> list[Step]:
    """A whole answer: its pieces, the last chunk with annotations, and the end mark."""
    last = {"annotations": list(annotations)} if annotations else {}
    return [*(event({"content": piece}) for piece in pieces), event(last, "stop"), b"data: [DONE]\n\n"]


def file_citation(*, index: int = 0, **place: Any) -> dict[str, Any]:
    """An annotation after `index` characters of the answer; quotes the file `file-1` of the store `vs-1`."""
    weir = {"page": None, "row": None, "headings": [], "score": 0.9, "vector_store_id": "vs-1", **place}
    return {
        "type": "file_citation",
        "index": index,
        "file_id": "file-1",
        "filename": "handbook.md",
        "weir": weir,
    }


@dataclass
class Ingestion:
    """What becomes of the next upload: the status it reaches once `finish` is set, and why if it fails."""

    status: str = "completed"
    reason: str | None = None
    finish: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class Scrape:
    """A scrape as the page is shown it: its pages by URL, each with a status and maybe a reason."""

    url: str
    status: str = "running"
    pages: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    asked: dict[str, Any] = field(default_factory=dict)


@dataclass
class StandIn:
    """The scripted server. Tests set what it will do and read what it was asked.

    `texts` holds the pages of each file's clean text.
    """

    answers: list[list[Step]] = field(default_factory=list)
    refusals: list[tuple[int, str]] = field(default_factory=list)
    stores: dict[str, str] = field(default_factory=lambda: {"vs-1": "Team handbook"})
    texts: dict[str, list[str]] = field(default_factory=dict)
    ingestion: Ingestion = field(default_factory=Ingestion)
    let_body_in: asyncio.Event = field(default_factory=asyncio.Event)
    scrapes: dict[str, Scrape] = field(default_factory=dict)
    chats: list[dict[str, Any]] = field(default_factory=list)
    uploads: list[tuple[str, int]] = field(default_factory=list)
    client_left: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""
    objects_url: str = ""

    async def models(self, _: web.Request) -> web.Response:
        rows = [
            {"id": "smollm2-135m", "object": "model", "weir": {"kind": "chat"}},
            {"id": "use-multilingual", "object": "model", "weir": {"kind": "embedding"}},
            {"id": "deepseek-flash", "object": "model", "weir": {"kind": "chat"}},
        ]
        return web.json_response({"object": "list", "data": rows})

    async def list_stores(self, _: web.Request) -> web.Response:
        rows = [self._store(store_id) for store_id in self.stores]
        return web.json_response({"object": "list", "data": rows, "has_more": False})

    async def create_store(self, request: web.Request) -> web.Response:
        store_id = f"vs-{len(self.stores) + 1}"
        self.stores[store_id] = (await request.json())["name"]
        return web.json_response(self._store(store_id))

    def _store(self, store_id: str) -> dict[str, Any]:
        counts = {"completed": len(self.uploads), "in_progress": 0, "failed": 0}
        return {"id": store_id, "name": self.stores[store_id], "file_counts": counts}

    async def chat(self, request: web.Request) -> web.StreamResponse:
        self.chats.append(await request.json())
        if self.refusals:
            return error(*self.refusals.pop(0))
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        try:
            for step in self.answers.pop(0):
                await (response.write(step) if isinstance(step, bytes) else step.wait())
        except (asyncio.CancelledError, ConnectionResetError):
            self.client_left.set()
            raise
        return response

    async def create_file(self, request: web.Request) -> web.Response:
        if request.content_type == "multipart/form-data":
            await self.let_body_in.wait()
            upload = (await request.post())["file"]
            assert isinstance(upload, web.FileField)
            self.uploads.append((upload.filename, len(upload.file.read())))
            return web.json_response({"id": "file-1"})
        body = await request.json()
        target = {
            "method": "PUT",
            "url": f"{self.objects_url}/bucket/{body['filename']}?X-Amz-Signature=0",
            "headers": {"content-type": body.get("media_type", "application/octet-stream"), "host": "bucket"},
        }
        return web.json_response({"id": "file-1", "weir": {"upload": target}})

    async def put_object(self, request: web.Request) -> web.Response:
        await self.let_body_in.wait()
        size = 0
        async for part in request.content.iter_any():
            size += len(part)
        self.uploads.append((request.match_info["name"], size))
        return web.Response(headers={"access-control-allow-origin": self.url})

    async def allow_put(self, _: web.Request) -> web.Response:
        return web.Response(
            headers={
                "access-control-allow-origin": self.url,
                "access-control-allow-methods": "PUT",
                "access-control-allow-headers": "content-type",
            }
        )

    async def attach(self, _: web.Request) -> web.Response:
        return web.json_response({"id": "file-1", "status": "in_progress", "last_error": None})

    async def attached(self, _: web.Request) -> web.Response:
        done = self.ingestion.finish.is_set()
        reason = {"code": "invalid_file", "message": self.ingestion.reason} if self.ingestion.reason else None
        status = self.ingestion.status if done else "in_progress"
        return web.json_response({"id": "file-1", "status": status, "last_error": reason if done else None})

    async def content(self, request: web.Request) -> web.Response:
        texts = self.texts.get(request.match_info["file"])
        if texts is None:
            return error(404, "There is no such file in this vector store.")
        number = int(request.query.get("page", 0))
        has_more = number + 1 < len(texts)
        page = {"data": [{"type": "text", "text": texts[number]}], "has_more": has_more}
        return web.json_response({**page, "next_page": str(number + 1) if has_more else None})

    async def list_scrapes(self, _: web.Request) -> web.Response:
        rows = [{"id": name, "url": s.url, "status": s.status} for name, s in self.scrapes.items()]
        return web.json_response({"object": "list", "data": rows, "has_more": False})

    async def create_scrape(self, request: web.Request) -> web.Response:
        if self.refusals:
            return error(*self.refusals.pop(0))
        asked = await request.json()
        name = f"scrape-{len(self.scrapes) + 1}"
        self.scrapes[name] = Scrape(asked["url"], pages={asked["url"]: ("queued", None)}, asked=asked)
        return web.json_response({"id": name, "url": asked["url"], "status": "queued"})

    async def scrape(self, request: web.Request) -> web.Response:
        scrape = self.scrapes[request.match_info["scrape"]]
        rows = [
            {"url": url, "status": status, "reason": reason} for url, (status, reason) in scrape.pages.items()
        ]
        states = ("queued", "running", "completed", "skipped", "failed")
        counts = {state: sum(1 for row in rows if row["status"] == state) for state in states}
        return web.json_response(
            {
                "status": scrape.status,
                "error": None,
                "page_counts": {**counts, "total": len(rows)},
                "pages": {"data": rows, "has_more": False},
            }
        )

    async def cancel_scrape(self, request: web.Request) -> web.Response:
        scrape = self.scrapes[request.match_info["scrape"]]
        scrape.status = "cancelled"
        for url, (status, _) in scrape.pages.items():
            if status == "queued":
                scrape.pages[url] = ("skipped", "The scrape was cancelled.")
        return web.json_response({"status": scrape.status})

    async def page(self, _: web.Request) -> web.FileResponse:
        return web.FileResponse(PAGE / "index.html")

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse API calls without the key; send the page with the strict policy that a deployment sends."""
        if request.path.startswith("/v1/") and request.headers.get("authorization") != f"Bearer {KEY}":
            return error(401, "This API key is not known. Check it, or create another.")
        return await handler(request)

    async def add_policy(self, _: web.Request, response: web.StreamResponse) -> None:
        response.headers["content-security-policy"] = (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
            f"connect-src 'self' {self.objects_url}; base-uri 'none'; form-action 'none'; "
            "frame-ancestors 'none'; require-trusted-types-for 'script'"
        )

    def gateway(self) -> web.Application:
        app = web.Application(middlewares=[self.guard])
        app.on_response_prepare.append(self.add_policy)
        store_file = "/v1/vector_stores/{store}/files/{file}"
        app.add_routes(
            [
                web.get("/", self.page),
                web.static("/static", PAGE),
                web.get("/v1/models", self.models),
                web.post("/v1/chat/completions", self.chat),
                web.get("/v1/vector_stores", self.list_stores),
                web.post("/v1/vector_stores", self.create_store),
                web.post("/v1/files", self.create_file),
                web.get("/v1/scrapes", self.list_scrapes),
                web.post("/v1/scrapes", self.create_scrape),
                web.get("/v1/scrapes/{scrape}", self.scrape),
                web.post("/v1/scrapes/{scrape}/cancel", self.cancel_scrape),
                web.post("/v1/vector_stores/{store}/files", self.attach),
                web.get(store_file, self.attached),
                web.get(f"{store_file}/content", self.content),
            ]
        )
        return app

    def object_store(self) -> web.Application:
        app = web.Application()
        app.add_routes(
            [web.put("/bucket/{name}", self.put_object), web.options("/bucket/{name}", self.allow_put)]
        )
        return app


def error(status: int, message: str) -> web.Response:
    """An error in OpenAI's shape."""
    body = {"error": {"message": message, "type": "invalid_request_error", "code": None, "param": None}}
    return web.json_response(body, status=status)


@asynccontextmanager
async def listening(app: web.Application) -> AsyncIterator[str]:
    """Serve on a free loopback port; yields the address."""
    # A handler is cancelled when its client leaves, so that a test sees that a stopped answer stops here too.
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
