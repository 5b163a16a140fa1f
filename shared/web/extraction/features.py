"""What is known of each piece of a page, as named columns of numbers: what a reader would go by.

How long a text is, how much of it is links, whether it ends like a sentence; what the elements around it are
called; what its neighbours and its likes are; and whether trafilatura takes it, them, and what stands around.
Nothing depends on a language.
"""

import re
from collections.abc import Iterator
from typing import Final

import numpy as np

from shared.web.extraction.containers import running
from shared.web.extraction.piece import Piece
from shared.web.extraction.place import KINDS
from shared.web.extraction.reading import Column, Reading, Shifted, everywhere, per, windows

_SENTENCE: Final = re.compile(r"[.!?,]\s|[。！？，、]")
_PRICE: Final = re.compile(r"[$€£¥₹]\s?\d|\d\s?[€£¥₹]")
_CURRENCIES: Final = "$€£¥₹"
_DIGIT: Final = re.compile(r"\d")

_TOLD: Final = (
    "heading 1", "heading 2", "heading 3+", "paragraph", "item", "table", "code", "quoted", "depth",
    "holds sentences", "price", "digits", "image",
)  # fmt: skip
_LENGTHS: Final = (1, 3, 6, 11, 21, 50)
_NEIGHBOURS: Final = (1, 2, 3)
_WINDOWS: Final = (3, 8, 20)
_CONTAINERS: Final = 5


def first_columns(page: Reading) -> Iterator[Column]:
    """What is known before any piece has been judged."""
    yield from _form(page)
    yield from _surroundings(page)
    yield from _position(page)
    yield from _neighbours(page)
    yield from _windows(page)
    yield from _containers(page)
    yield from _likes(page)
    yield from _whole(page)


def _form(page: Reading) -> Iterator[Column]:
    told = np.array([_told(piece) for piece in page.pieces], dtype=np.float64)
    yield from zip(_TOLD, told.T, strict=True)
    yield "words", np.log1p(page.words)
    for length in _LENGTHS:
        yield f"more than {length} words", np.where(page.words > length, 1.0, 0.0)
    yield "links", page.links
    yield "all links", np.where(page.links > 0.8, 1.0, 0.0)
    yield "ends a sentence", page.ends
    yield "title", page.each(lambda piece: bool(piece.words) and piece.words == page.title)


def _told(piece: Piece) -> tuple[float, ...]:
    """What the piece alone tells: the columns `_TOLD`."""
    kind, text = piece.kind, piece.text
    digits = len(_DIGIT.findall(text))
    return (
        piece.level == 1,
        piece.level == 2,
        piece.level > 2,
        kind == "paragraph",
        kind == "item",
        kind == "table",
        kind == "code",
        piece.quoted,
        piece.place.depth,
        bool(_SENTENCE.search(text)),
        digits > 0 and any(map(text.__contains__, _CURRENCIES)) and bool(_PRICE.search(text)),
        digits / max(len(text), 1),
        "![" in piece.markdown,
    )


def _surroundings(page: Reading) -> Iterator[Column]:
    for kind, flags in zip(KINDS, page.containers.flags(page.words), strict=True):
        yield f"in {kind}", flags


def _position(page: Reading) -> Iterator[Column]:
    numbers = np.arange(len(page.words))
    before = running(page.words)[:-1]
    yield "words before", before / page.total
    yield "words after", (page.total - before - page.words) / page.total
    first = next((n for n, piece in enumerate(page.pieces) if piece.level == 1 and piece.words), -1)
    yield "before the first heading 1", np.where(numbers < first, 1.0, 0.0)
    yield "after the first heading 1", np.where((numbers > first) & (first >= 0), 1.0, 0.0)
    yield "the first heading 1", np.where((numbers == first) & (first >= 0), 1.0, 0.0)
    begin, end = page.taken_span()
    yield "before all that is taken", np.where(numbers < begin, 1.0, 0.0)
    yield "amid what is taken", np.where((numbers >= begin) & (numbers <= end), 1.0, 0.0)
    yield "after all that is taken", np.where(numbers > end, 1.0, 0.0)
    yield "taken", page.taken
    yield "mostly taken", np.where(page.taken > 0.5, 1.0, 0.0)


def _neighbours(page: Reading) -> Iterator[Column]:
    told = (
        ("words", np.log1p(page.words)),
        ("links", page.links),
        ("heading", page.headings),
        ("ends a sentence", page.ends),
        ("taken", page.taken),
    )
    for name, values in told:
        near = Shifted(values, max(_NEIGHBOURS))
        for distance in _NEIGHBOURS:
            yield f"{name}: {distance} before", near.before(distance)
            yield f"{name}: {distance} after", near.after(distance)


def _windows(page: Reading) -> Iterator[Column]:
    low, high = windows(len(page.words), _WINDOWS)
    before = running(np.array((page.words, page.link_words, page.taken * page.words)))
    words, links, taken = before[:, high] - before[:, low]
    told = (
        ("taken", per(taken, words)),
        ("links", per(links, words)),
        ("words", np.log1p(words / (high - low))),
    )
    for name, values in told:
        for row, size in enumerate(_WINDOWS):
            yield f"{name} within {size}", values[row]


def _containers(page: Reading) -> Iterator[Column]:
    summed = (page.words, page.link_words, page.taken * page.words, np.ones(len(page.words)))
    words, links, taken, pieces = page.containers.sums(np.array(summed))
    names = ("words", "links", "taken", "words a piece")
    told = (np.log1p(words), per(links, words), per(taken, words), np.log1p(per(words, pieces)))
    for name, rows in zip(names, page.containers.spread(np.array(told), _CONTAINERS), strict=True):
        for level, values in enumerate(rows):
            yield f"{name} in container {level}", values


def _likes(page: Reading) -> Iterator[Column]:
    summed = np.array((np.ones(len(page.words)), page.words, page.link_words, page.taken * page.words))
    for name, likes in page.likes.items():
        count, words, links, taken = likes.others(summed)
        yield f"number of {name}", np.log1p(count)
        yield f"no {name} with words", np.where(words == 0, 1.0, 0.0)
        yield f"words of {name}", np.log1p(words)
        yield f"links of {name}", per(links, words)
        yield f"taken of {name}", per(taken, words)
    copies: dict[str, int] = {}
    seen = []
    for piece in page.pieces:
        seen.append(float(piece.text in copies))
        copies[piece.text] = copies.get(piece.text, 0) + 1
    yield "copies", np.log(page.each(lambda piece: copies[piece.text]))
    yield "seen before", np.array(seen, dtype=np.float64)


def _whole(page: Reading) -> Iterator[Column]:
    taken = float((page.taken * page.words).sum())
    yield "taken of the page", everywhere(page, taken / page.total)
    yield "words taken of the page", everywhere(page, float(np.log1p(taken)))
    yield "words of the page", everywhere(page, float(np.log1p(page.total)))
    yield "pieces of the page", everywhere(page, float(np.log1p(len(page.words))))
    yield "links of the page", everywhere(page, float(page.link_words.sum()) / page.total)
