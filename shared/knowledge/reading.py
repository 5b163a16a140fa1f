"""Reads a stored file, or a part of it, as a document; pictures by a vision model, where there is one."""

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Protocol

from shared.aws.objects import ObjectInfo, Objects
from shared.documents.document import DEFAULT_LIMITS, Document, UnreadableDocumentError, no_text
from shared.documents.media import IMAGES
from shared.documents.parts import FilePart, Plan
from shared.documents.pictures import Caption, Picture, no_vision_model, with_captions
from shared.errors import NotFoundError


class Parser(Protocol):
    """Parses files, each within bounds of time and memory. Raises `UnreadableDocumentError`."""

    async def plan(self, path: Path, filename: str, media_type: str | None) -> Plan:
        """How a file is cut into parts."""

    async def parse(self, path: Path, plan: Plan, part: FilePart) -> Document:
        """One part; `path` holds the bytes that it needs."""

    async def page_image(self, path: Path, page: int) -> bytes:
        """A page of a PDF, from 1, as PNG."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Reads files of up to `max_bytes`. Without a `caption` pictures stay unread."""

    objects: Objects
    parser: Parser
    max_bytes: int
    caption: Caption | None = None

    async def look(self, key: str) -> ObjectInfo:
        """What is stored.

        Raises:
            UnreadableDocumentError: Nothing, or too much.
        """
        try:
            info = await self.objects.info(key)
        except NotFoundError as error:
            raise _gone() from error
        if info.size > self.max_bytes:
            message = f"The file has {info.size:,} bytes; at most {self.max_bytes:,} are read."
            raise UnreadableDocumentError("invalid_file", message)
        return info

    @asynccontextmanager
    async def fetched(self, key: str, part: FilePart | None = None) -> AsyncIterator[Path]:
        """A local copy of the file, or of the bytes that a part needs, for the time of the context.

        Raises:
            UnreadableDocumentError: It is gone.
        """
        start, end = (0, None) if part is None or part.start is None else (part.start, part.end)
        with tempfile.TemporaryDirectory(prefix="weir-") as name:
            path = Path(name) / "file"
            try:
                await self.objects.download(key, path, start=start, end=end)
            except NotFoundError as error:
                raise _gone() from error
            yield path

    async def plan(self, path: Path, filename: str, media_type: str | None) -> Plan:
        """How the file is cut into parts.

        Raises:
            UnreadableDocumentError: It is seen that it cannot be read.
        """
        return await self.parser.plan(path, filename, media_type)

    async def document(self, path: Path, plan: Plan, part: FilePart, filename: str) -> Document:
        """A part, with what the vision model sees in its pictures, named as its file; maybe empty.

        Raises:
            UnreadableDocumentError: It cannot be read, or it is all of the file and has no text.
        """
        document = await self.parser.parse(path, plan, part)
        if plan.format in IMAGES:
            document = await self._described(document, path, plan, filename)
        elif document.scanned_pages and self.caption is not None:
            document = await self._with_scans(document, path, filename, self.caption)
        if not document.text and len(plan.parts) == 1:
            raise no_text(document.scanned_pages)
        return replace(document, title=document.title or PurePath(filename).stem)

    async def _described(self, document: Document, path: Path, plan: Plan, filename: str) -> Document:
        if self.caption is None:
            raise no_vision_model("a picture")
        data = await asyncio.to_thread(path.read_bytes)
        picture = Picture(data=data, media_type=plan.media_type, filename=filename, page=None)
        return with_captions(document, {None: await self.caption.caption(picture)}, DEFAULT_LIMITS)

    async def _with_scans(self, document: Document, path: Path, filename: str, caption: Caption) -> Document:
        captions: dict[int | None, str] = {}
        for page in document.scanned_pages:
            data = await self.parser.page_image(path, page)
            picture = Picture(data=data, media_type="image/png", filename=filename, page=page)
            captions[page] = await caption.caption(picture)
        return with_captions(document, captions, DEFAULT_LIMITS)


async def sha256_of(path: Path) -> str:
    """Of a file's bytes, in hexadecimal."""
    return await asyncio.to_thread(_digest, path)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _gone() -> UnreadableDocumentError:
    message = "The file's bytes are not in storage any more. Upload it again."
    return UnreadableDocumentError("invalid_file", message)
