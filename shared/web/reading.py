"""Reads the body of an answer, decompressed, piece by piece and up to a limit."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from shared.web.answer import Fetched, FetchFailedError, FetchRefusedError
from shared.web.inflate import Encoding, Inflater

if TYPE_CHECKING:
    import aiohttp

_ENCODINGS: dict[str, Encoding] = {
    "": "identity",
    "identity": "identity",
    "gzip": "gzip",
    "x-gzip": "gzip",
    "deflate": "deflate",
}


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Which bodies are read, and how much of them.

    `accepts` says whether a media type is wanted. `max_bytes` bounds a body both as sent and decompressed;
    `excess` says what becomes of one that has more.
    """

    accepts: Callable[[str], bool] | None
    excess: Literal["refuse", "truncate"]
    max_bytes: int

    async def read(self, url: str, answer: "aiohttp.ClientResponse") -> Fetched:
        """The whole answer.

        Raises:
            FetchRefusedError: A media type that is not wanted, or too large.
            FetchFailedError: An encoding that was not asked for.
            CorruptBodyError: The body cannot be decompressed.
        """
        successful = 200 <= answer.status < 300
        media_type = answer.content_type.lower() if "Content-Type" in answer.headers else ""
        if successful and self.accepts and not self.accepts(media_type):
            raise FetchRefusedError(f"{media_type or 'an unnamed media type'} is not read")
        body = await self._body(answer) if successful else b""
        return Fetched(
            url=url,
            status=answer.status,
            media_type=media_type,
            charset=answer.charset,
            body=body[: self.max_bytes],
            truncated=len(body) > self.max_bytes,
            robots=tuple(answer.headers.getall("X-Robots-Tag", ())),
            retry_after=answer.headers.get("Retry-After"),
            content_disposition=answer.headers.get("Content-Disposition"),
            etag=answer.headers.get("ETag"),
            last_modified=answer.headers.get("Last-Modified"),
        )

    async def _body(self, answer: "aiohttp.ClientResponse") -> bytes:
        """The body, or a little more than `max_bytes` of it."""
        if self.excess == "refuse" and (answer.content_length or 0) > self.max_bytes:
            raise self._too_large()
        inflater = Inflater(_encoding(answer.headers.get("Content-Encoding", "")))
        body = bytearray()
        sent = 0
        async for data in answer.content.iter_any():
            sent += len(data)
            for piece in inflater.feed(data):
                body += piece
                if max(sent, len(body)) > self.max_bytes:
                    if self.excess == "refuse":
                        raise self._too_large()
                    return bytes(body)
        inflater.finish()
        return bytes(body)

    def _too_large(self) -> FetchRefusedError:
        return FetchRefusedError(f"the body has more than the {self.max_bytes:,} bytes that are read")


def _encoding(header: str) -> Encoding:
    try:
        return _ENCODINGS[header.strip().lower()]
    except KeyError:
        raise FetchFailedError(f"sent as {header[:40]!r}, which was not asked for", transient=False) from None
