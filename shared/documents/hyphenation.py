"""Joins words that a line's end has broken."""

import re
from typing import Final

_WORD: Final = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
# PDFium writes U+FFFE for a hyphen at the end of a line and leaves the line break out.
_BROKEN: Final = re.compile("(?<![^\\W\\d_])([^\\W\\d_]++)(?:\ufffe|-\n|\u00ad\n)([^\\W\\d_]+)")


class Hyphenation:
    """Decides by the document's own words whether a hyphen at a line's end belongs to the word.

    "infor-" + "mation" closes up. "multi-" + "agent" keeps its hyphen if the document writes "multi-agent"
    elsewhere, or knows both halves as words and never the whole.
    """

    def __init__(self, document: str) -> None:
        self._words = set(_WORD.findall(_BROKEN.sub(" ", document.lower())))

    def join(self, text: str) -> str:
        """`text` with its broken words whole."""
        return _BROKEN.sub(self._joined, text).replace("\ufffe", "-")

    def _joined(self, match: re.Match[str]) -> str:
        left, right = match[1], match[2]
        whole, hyphened = (left + right).lower(), f"{left}-{right}".lower()
        if whole in self._words:
            return left + right
        halves_known = left.lower() in self._words and right.lower() in self._words
        if hyphened in self._words or halves_known or right[0].isupper():
            return f"{left}-{right}"
        return left + right
