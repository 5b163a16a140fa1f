"""Lines of a PDF to headings and paragraphs, by the typography alone."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from statistics import median
from typing import Final

from shared.documents.cleaning import clean, clean_line
from shared.documents.document import Part
from shared.documents.hyphenation import Hyphenation

_PAGE_NUMBER: Final = re.compile(
    r"(?:page\s*)?[-–—]?\s*\d{1,4}\s*(?:(?:of|/)\s*\d{1,4})?\s*[-–—]?", re.IGNORECASE
)
_BULLET: Final = re.compile(r"[•▪●◦‣∙■□❖➢·*–-]\s|\(?(?:\d{1,2}|[a-z]|[ivx]{1,4})[.)]\s")
_SENTENCE_END: Final = re.compile(r"[.!?:。！？：…][\"'”’)\]]*$")
_CJK: Final = re.compile("[\u3000-\u30ff\u3400-\u9fff\uf900-\ufaff\uff01-\uff60]")
# All in multiples of the body's size or of the usual distance of its lines.
_LARGER: Final = 1.15
_LOOSE: Final = 1.3
_INDENT: Final = (0.9, 4.0)
_HEADING_CHARACTERS: Final = 160
_HEADING_LINES: Final = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A line of text as it stands on its page. Positions and `size` are in points, y grows upwards.

    `top` and `bottom` are the baselines of its first and its last character: PDFium makes one line of two
    where a word is broken between them.
    """

    text: str
    page: int
    left: float
    right: float
    top: float
    bottom: float
    size: float
    bold: bool


@dataclass(frozen=True, kw_only=True)
class Typography:
    """What is usual in a document: size and weight of its text, the distance of its lines in sizes, and the
    styles (size, bold) of its headings from the largest on: at one size bold goes first.
    """

    size: float
    bold: bool
    pitch: float
    headings: tuple[tuple[float, bool], ...] = ()

    def level(self, line: Line) -> int | None:
        """The level of a heading in that style, from 1 to 6."""
        style = _style(line)
        return min(self.headings.index(style) + 1, 6) if style in self.headings else None


def typography(lines: Sequence[Line]) -> Typography:
    """Survey the lines of a whole document, or all that is known of it."""
    body = _body(lines)
    groups = (group for page in _pages(lines) for group in _paragraphs(page, body))
    styles = {_style(group[0]) for group in groups if _is_heading(group, body)}
    return replace(body, headings=tuple(sorted(styles, reverse=True)))


def layout(lines: Sequence[Line], body: Typography) -> list[Part]:
    """Headings and paragraphs in reading order, never over the end of a page.

    Words broken at a line's end are joined. Lines stay lines, so that the rows of a table stay apart; only
    between CJK characters they close up. Page numbers alone on the first or last line are left out.
    """
    hyphenation = Hyphenation("\n".join(line.text for line in lines))
    parts = []
    for group in (group for page in _pages(lines) for group in _paragraphs(page, body)):
        text = clean(hyphenation.join(_joined(group))).strip()
        level = body.level(group[0]) if _is_heading(group, body) else None
        parts.append(_heading(text, level, group[0].page) if level else _paragraph(text, group[0].page))
    return parts


def _heading(text: str, level: int, page: int) -> Part:
    return Part(kind="heading", text=f"{'#' * level} {clean_line(text)}", level=level, page=page)


def _paragraph(text: str, page: int) -> Part:
    return Part(kind="paragraph", text=text, page=page)


def _body(lines: Sequence[Line]) -> Typography:
    styles: Counter[tuple[float, bool]] = Counter()
    for line in lines:
        styles[_style(line)] += len(line.text)
    size, bold = max(styles, key=lambda style: styles[style], default=(10.0, False))
    pitches = [
        (upper.bottom - lower.top) / size
        for upper, lower in pairwise(lines)
        if upper.page == lower.page and upper.size == lower.size == size
    ]
    return Typography(size=size, bold=bold, pitch=median([p for p in pitches if 0.8 < p < 2.5] or [1.2]))


def _style(line: Line) -> tuple[float, bool]:
    return line.size, line.bold


def _pages(lines: Sequence[Line]) -> Iterator[list[Line]]:
    for _, group in groupby(lines, key=lambda line: line.page):
        page = list(group)
        for edge in (0, -1):
            if page and _PAGE_NUMBER.fullmatch(page[edge].text):
                del page[edge]
        yield page


def _paragraphs(lines: Iterable[Line], body: Typography) -> Iterator[list[Line]]:
    group: list[Line] = []
    for line in lines:
        if group and _breaks(group[-1], line, body):
            yield group
            group = []
        group.append(line)
    if group:
        yield group


def _breaks(upper: Line, lower: Line, body: Typography) -> bool:
    """Whether a paragraph ends between two lines that follow each other in the text."""
    size = max(upper.size, lower.size)
    distance = upper.bottom - lower.top
    if _same_line(upper, lower):
        return False
    if _stands_out(upper, body) != _stands_out(lower, body) or not 0.9 <= upper.size / lower.size <= 1.1:
        return True
    ended = bool(_SENTENCE_END.search(upper.text))
    if distance < 0:  # up again: the next column, or text beside a figure
        return ended or not lower.text[:1].islower()
    if distance > _LOOSE * body.pitch * size or (_BULLET.match(lower.text) and ended):
        return True
    indent = lower.left - upper.left
    return ended and _INDENT[0] * size < indent < _INDENT[1] * size


def _same_line(upper: Line, lower: Line) -> bool:
    """Runs of one line that the PDF keeps apart, as around a raised footnote mark."""
    return (
        abs(upper.bottom - lower.top) < 0.5 * max(upper.size, lower.size)
        and lower.left >= upper.right - 1
        and lower.left - upper.right < 3 * max(upper.size, lower.size)
    )


def _stands_out(line: Line, body: Typography) -> bool:
    """Larger than the body, or bold where the body is not."""
    return line.size >= _LARGER * body.size or (line.bold and not body.bold and line.size >= 0.97 * body.size)


def _is_heading(group: Sequence[Line], body: Typography) -> bool:
    text = " ".join(line.text for line in group)
    return (
        _stands_out(group[0], body)
        and len(group) <= _HEADING_LINES
        and len(text) <= _HEADING_CHARACTERS
        and sum(map(str.isalpha, text)) > len(text) // 2
        and not text.endswith((".", ",", ";", "。", "，"))
    )


def _joined(group: Sequence[Line]) -> str:
    pieces = [group[0].text]
    for upper, lower in pairwise(group):
        closes_up = _CJK.match(upper.text[-1:]) and _CJK.match(lower.text[:1])
        pieces += ["" if closes_up else " " if _same_line(upper, lower) else "\n", lower.text]
    return "".join(pieces)
