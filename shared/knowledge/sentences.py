"""Where sentences begin and end, in English and Chinese."""

import re
from collections.abc import Iterator

# A Western stop ends a sentence only before white space and a letter that is not small, and not after an
# initial or one of these words.
_NOT_ENDS = r"[A-Z]|Mr|Mrs|Ms|Dr|Prof|St|vs|etc|e\.g|i\.e|cf|al|Fig|fig|Eq|No|pp|Inc|Ltd|Co|approx"
_ABBREVIATION = re.compile(rf"(?:^|[\s(\[\"'])(?:{_NOT_ENDS})\.$")
_LONGEST_ABBREVIATION = 8

_CLOSERS = r"[\"'”’」』）)\]】》]*"
_END = re.compile(
    rf"(?<![.!?])[.!?]++{_CLOSERS}(?=\s+[^a-z\s])|[!?]{_CLOSERS}(?=[\u3040-\u30ff\u4e00-\u9fff])|[。！？；…．｡।؟]+{_CLOSERS}|\n+"
)
# "1. Fill the kettle." is one sentence.
_ITEM_NUMBER = re.compile(r"(?:^|\n)[ \t]*\d{1,3}\.$")

# A sentence goes on after a long line, if the next begins with a small letter and is no "key: value".
_WRAPPED = re.compile(r"\n[ \t]*[a-z](?![\w -]*:)")
_LONG_LINE = 40


def sentences(text: str) -> list[tuple[int, int]]:
    """`(start, end)` of each sentence, in order, without the white space between them.

    A line break ends a sentence unless the line seems to be wrapped, so that list items and rows stand alone.
    """
    return [span for span in _trimmed(text) if span[0] < span[1]]


def _trimmed(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for end in (*_ends(text), len(text)):
        piece = text[start:end]
        yield start + len(piece) - len(piece.lstrip()), start + len(piece.rstrip())
        start = end


def _ends(text: str) -> Iterator[int]:
    for match in _END.finditer(text):
        before = text[max(0, match.end() - _LONGEST_ABBREVIATION) : match.end()]
        is_end = not _ABBREVIATION.search(before) and not _ITEM_NUMBER.search(before)
        if is_end and not _is_wrapped(text, match.start()):
            yield match.end()


def _is_wrapped(text: str, position: int) -> bool:
    is_long = position >= _LONG_LINE and "\n" not in text[position - _LONG_LINE : position]
    return is_long and _WRAPPED.match(text, position) is not None
