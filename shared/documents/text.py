"""Plain text and source code: blocks between blank lines."""

import re
from collections.abc import Iterator
from typing import Final, Literal

from shared.documents.charset import decode
from shared.documents.cleaning import clean
from shared.documents.document import Content, Part

_BLANK_LINE: Final = re.compile(r"\n\n")


def read_text(data: bytes, media_type: str | None, *, kind: Literal["paragraph", "code"]) -> Content:
    """Read text of any encoding. Lines stay as they are; nothing is taken for a heading."""
    text = clean(decode(data, media_type=media_type))
    return Content(parts=_blocks(text, kind))


def read_text_part(data: bytes, encoding: str) -> Content:
    """Read a piece from the middle of a text."""
    return Content(parts=_blocks(clean(data.decode(encoding, errors="replace")), "paragraph"))


def _blocks(text: str, kind: Literal["paragraph", "code"]) -> Iterator[Part]:
    for block in _BLANK_LINE.split(text):
        yield Part(kind=kind, text=block)
