"""Reads a stored file, or a part of it, as a document; pictures by a vision model, where there is one."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Protocol

from shared.aws.objects import ObjectInfo, Objects
from shared.documents.document import DEFAULT_LIMITS, Document, UnreadableDocumentError, no_text
from shared.documents.media import IMAGES
from shared.documents.parts import FilePart, Plan
from shared.documents.pictures import (
    Caption,
    Picture,
    no_vision_model,
    refused_picture,
    with_captions,
)
from shared.errors import NotFoundError
from shared.knowledge.local_copy import local_directory
from shared.providers.failures import UpstreamFailure
from shared.telemetry import logger

_log = logger("knowledge")

# Larger ones are refused by providers, who count them as base64.
_PICTURE_BYTES = 15 * 2**20


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
    """Reads files of up to `max_bytes`.

    `caption_of` gives the vision model for a tenant's file, which is asked for `caption_calls` pages at
    once; without it pictures stay unread.
    """

    objects: Objects
    parser: Parser
    max_bytes: int
    caption_of: Callable[[str, str], Caption] | None = None
    caption_calls: int = 8

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
        with local_directory() as directory:
            path = directory / "file"
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

    async def document(self, path: Path, plan: Plan, part: FilePart, source: "SourceFile") -> Document:
        """A part, with what the vision model sees in its pictures, named as its file; maybe empty.

        Pages that nobody read stay in its `scanned_pages`.

        Raises:
            UnreadableDocumentError: It cannot be read, or it is all of the file and has no text.
            UpstreamFailure: The vision model cannot be asked now.
            BudgetError: The tenant's money for it is used up.
        """
        document = await self.parser.parse(path, plan, part)
        caption = self.caption_of and self.caption_of(source.tenant_id, source.file_id)
        filename = source.filename
        if plan.format in IMAGES:
            document = await _described(document, path, plan, filename, caption)
        elif document.scanned_pages and caption is not None:
            document = await self._with_scans(document, path, filename, caption)
        if not document.text and len(plan.parts) == 1:
            raise no_text(document.scanned_pages)
        return replace(document, title=document.title or PurePath(filename).stem)

    async def _with_scans(self, document: Document, path: Path, filename: str, caption: Caption) -> Document:
        """Several pages at once. After a failure none is begun; those under way are paid, and waited for."""
        captions: dict[int | None, str] = {}
        failures: list[Exception] = []
        left = iter(document.scanned_pages)

        async def read_on() -> None:
            for page in left:
                if failures:
                    return
                try:
                    data = await self.parser.page_image(path, page)
                    picture = Picture(data=data, media_type="image/png", filename=filename, page=page)
                    captions[page] = await caption.caption(picture)
                except Exception as failure:
                    if not _is_refusal(failure):
                        failures.append(failure)
                    else:
                        _log.warning("scanned page is not read", extra={"page": page, "reason": str(failure)})

        await asyncio.gather(*(read_on() for _ in range(self.caption_calls)))
        if failures:
            raise failures[0]
        return with_captions(document, captions, DEFAULT_LIMITS)


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """Whose file it is that is read."""

    tenant_id: str
    file_id: str
    filename: str


async def _described(
    document: Document, path: Path, plan: Plan, filename: str, caption: Caption | None
) -> Document:
    if caption is None:
        raise no_vision_model("a picture")
    size = await asyncio.to_thread(lambda: path.stat().st_size)
    if size > _PICTURE_BYTES:
        raise refused_picture(f"it has {size:,} bytes, and at most {_PICTURE_BYTES:,} are sent")
    data = await asyncio.to_thread(path.read_bytes)
    picture = Picture(data=data, media_type=plan.media_type, filename=filename, page=None)
    try:
        described = await caption.caption(picture)
    except UpstreamFailure as failure:
        if _is_refusal(failure):
            raise refused_picture(failure.message.rstrip(".")) from failure
        raise
    return with_captions(document, {None: described}, DEFAULT_LIMITS)


def _is_refusal(failure: Exception) -> bool:
    """Whether the same would be answered however often it was asked."""
    return isinstance(failure, UpstreamFailure) and failure.kind == "refused"


async def sha256_of(path: Path) -> str:
    """Of a file's bytes, in hexadecimal."""
    return await asyncio.to_thread(_digest, path)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _gone() -> UnreadableDocumentError:
    message = "The file's bytes are not in storage any more. Upload it again."
    return UnreadableDocumentError("invalid_file", message)
