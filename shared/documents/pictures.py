"""Pictures, and pages that are pictures: what a vision model says of them becomes text of the document."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from shared.documents.cleaning import clean
from shared.documents.document import (
    DEFAULT_LIMITS,
    Content,
    Document,
    Limits,
    Part,
    UnreadableDocumentError,
    assemble,
)


@dataclass(frozen=True, kw_only=True)
class Picture:
    """What a model is to describe: an uploaded picture, or page `page` of a PDF (from 1) as PNG."""

    data: bytes
    media_type: str
    filename: str
    page: int | None


class Caption(Protocol):
    """A vision model, or OCR, for the pictures of one file."""

    async def caption(self, picture: Picture) -> str:
        """The text in the picture and what else it shows, in Markdown; "" for an empty page.

        Raises what a call of a model raises.
        """
        ...


def refused_picture(reason: str) -> UnreadableDocumentError:
    """The error for a picture that the vision model would not or could not describe."""
    message = f"The vision model does not read this picture: {reason}. Upload the text that it shows."
    return UnreadableDocumentError("invalid_file", message)


def no_vision_model(what: str) -> UnreadableDocumentError:
    """The error for a file that only a vision model could read; `what` it is ("a picture")."""
    message = (
        f"The file is {what}, and no vision model is set that could describe it. "
        "Set one, or upload the text that it shows."
    )
    return UnreadableDocumentError("unsupported_file", message)


def with_captions(
    document: Document, captions: Mapping[int | None, str], limits: Limits = DEFAULT_LIMITS
) -> Document:
    """The document with captions put in at the end of their pages; `None` is the picture that is the file.

    Pages with a caption are scanned pages no more. Raises `invalid_file` for more text than the limits allow.
    """
    left = tuple(page for page in document.scanned_pages if page not in captions)
    content = Content(
        parts=_woven(document, captions), title=document.title, headings=document.headings, scanned_pages=left
    )
    return assemble(content, document.media_type, limits, may_be_empty=True)


def _woven(document: Document, captions: Mapping[int | None, str]) -> Iterator[Part]:
    waiting = sorted((page or 0, text) for page, text in captions.items())
    for block in document.blocks:
        while waiting and block.page is not None and waiting[0][0] < block.page:
            yield from _caption(*waiting.pop(0))
        yield Part(kind=block.kind, text=block.text, level=block.level, page=block.page, row=block.row_first)
    for page, text in waiting:
        yield from _caption(page, text)


def _caption(page: int, text: str) -> Iterator[Part]:
    for paragraph in clean(text).split("\n\n"):
        yield Part(kind="paragraph", text=paragraph, page=page or None)
