"""The page at `/` and its files, without a key: what they call asks for one."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import Response

from shared.errors import NotFoundError

# Only these are served. Spelt out, because what Python's own table says depends on the machine.
_MEDIA_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}


@dataclass(frozen=True)
class _Asset:
    content: bytes
    media_type: str
    etag: str


def create_router(directory: Path, origins: Sequence[str]) -> APIRouter:
    """Routes to the files of `directory`, which are read once.

    Args:
        origins: Whom the page may speak to, besides its own origin: for uploads, and over a WebSocket.
    """
    assets = {path.name: _read(path) for path in directory.iterdir() if path.suffix in _MEDIA_TYPES}
    headers = {
        "content-security-policy": _policy(origins),
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        # Asked for again each time, and answered 304: a new release is seen at once, and never half of it.
        "cache-control": "no-cache",
    }
    router = APIRouter()

    def answer(request: Request, name: str) -> Response:
        asset = assets.get(name)
        if asset is None:
            raise NotFoundError(f"There is no file {name!r} on this page.", code="unknown_url")
        if request.headers.get("if-none-match") == asset.etag:
            return Response(status_code=304, headers={**headers, "etag": asset.etag})
        return Response(asset.content, media_type=asset.media_type, headers={**headers, "etag": asset.etag})

    @router.get("/", response_class=Response)
    async def index(request: Request) -> Response:
        return answer(request, "index.html")

    @router.get("/static/{name}", response_class=Response)
    async def static(request: Request, name: str) -> Response:
        return answer(request, name)

    return router


def _read(path: Path) -> _Asset:
    content = path.read_bytes()
    return _Asset(content, _MEDIA_TYPES[path.suffix], f'"{hashlib.sha256(content).hexdigest()[:32]}"')


def _policy(origins: Sequence[str]) -> str:
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            " ".join(["connect-src 'self'", *origins]),
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        )
    )
