"""The browser's only way out: an HTTP proxy on the loopback that checks every address and counts every byte.

Chromium is told to resolve no name itself. For each connection the proxy resolves the name once, judges the
address, and connects to that address: a rebinding, a redirect, a script or a WebSocket has no other way.
"""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from shared.web.checked_connection import Resolve, open_checked, resolve
from shared.web.connection import AddressRefusedError

_HEAD_BYTES = 64 * 1024
_PIECE = 64 * 1024

# What a page may not speak to, whatever its address: mail and the like, which a script could abuse.
_PORTS = frozenset((80, 443))
_FIRST_FREE_PORT = 1024

_REFUSED = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_UNREACHABLE = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_CONNECTED = b"HTTP/1.1 200 Connection Established\r\n\r\n"


@dataclass
class Proxy:
    """A running proxy. `refused` counts the connections that it did not make, `bytes` what came back."""

    port: int = 0
    max_bytes: int = 0
    permitted_hosts: Collection[str] = ()
    resolve: Resolve = resolve
    refused: int = 0
    connections: int = 0
    bytes: int = 0
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        """For the browser."""
        return f"http://127.0.0.1:{self.port}"


@asynccontextmanager
async def running_proxy(
    *, max_bytes: int, permitted_hosts: Collection[str] = (), resolve: Resolve = resolve
) -> AsyncIterator[Proxy]:
    """A proxy for one page, which may receive `max_bytes`; at the end every connection is closed."""
    proxy = Proxy(max_bytes=max_bytes, permitted_hosts=permitted_hosts, resolve=resolve)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a callback of the server is one
        proxy.tasks.add(task)
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
                await _serve(proxy, reader, writer)
        finally:
            proxy.tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=_HEAD_BYTES)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for task in proxy.tasks:
            task.cancel()
        if proxy.tasks:
            await asyncio.wait(proxy.tasks, timeout=5)


async def _serve(proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    line, _, rest = head.partition(b"\r\n")
    method, target, version = line.decode("ascii").split(" ")
    tunnel = method == "CONNECT"
    parts = urlsplit(f"//{target}" if tunnel else target)
    host, port = parts.hostname or "", parts.port or 80
    try:
        _check_port(proxy, host, port)
        upstream = await open_checked(
            host, port, permitted_hosts=proxy.permitted_hosts, resolve=proxy.resolve
        )
    except (OSError, TimeoutError) as error:
        proxy.refused += isinstance(error, AddressRefusedError)
        writer.write(_REFUSED if isinstance(error, AddressRefusedError) else _UNREACHABLE)
        await writer.drain()
        return
    proxy.connections += 1
    try:
        if tunnel:
            writer.write(_CONNECTED)
        else:
            path = target.partition("://")[2].partition("/")[2]
            upstream[1].write(_request(method, f"/{path}", version, rest))
        await _relay(proxy, (reader, writer), upstream)
    finally:
        upstream[1].close()


def _check_port(proxy: Proxy, host: str, port: int) -> None:
    named = f"[{host}]" if ":" in host else host
    if port not in _PORTS and port < _FIRST_FREE_PORT and f"{named}:{port}" not in proxy.permitted_hosts:
        raise AddressRefusedError


def _request(method: str, path: str, version: str, headers: bytes) -> bytes:
    """A request as an origin server expects it; one to a connection, so that the next is checked too."""
    kept = [
        line
        for line in headers.split(b"\r\n")
        if line and line.partition(b":")[0].strip().lower() not in (b"connection", b"proxy-connection")
    ]
    first = f"{method} {path} {version}".encode("ascii")
    return b"\r\n".join((first, *kept, b"Connection: close", b"", b""))


async def _relay(
    proxy: Proxy,
    browser: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter],
) -> None:
    """Pass bytes both ways until the site is done, or the page has received all it may."""
    sending = asyncio.create_task(_send(browser[0], upstream[1]))
    try:
        while proxy.bytes < proxy.max_bytes and (piece := await upstream[0].read(_PIECE)):
            proxy.bytes += len(piece)
            browser[1].write(piece)
            await browser[1].drain()
    finally:
        sending.cancel()
        await asyncio.wait([sending])


async def _send(browser: asyncio.StreamReader, upstream: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await browser.read(_PIECE):
            upstream.write(piece)
            await upstream.drain()
