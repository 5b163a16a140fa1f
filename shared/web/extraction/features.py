"""What is known of each piece of a page, as named columns of numbers: what a reader would go by.

How long a text is, how much of it is links, whether it ends like a sentence; what the elements around it are
called; what its neighbours and its likes are; and whether trafilatura takes it, them, and what stands around.
Nothing depends on a language.
"""

import re
from collections.abc import Iterator
from typing import Final

import numpy as np

from shared.web.extraction.place import KINDS
from shared.web.extraction.reading import Column, Reading, everywhere, per, running, shifted

_SENTENCE: Final = re.compile(r"[.!?,]\s|[。！？，、]")
_PRICE: Final = re.compile(r"[$€£¥₹]\s?\d|\d\s?[€£¥₹]")
_DIGIT: Final = re.compile(r"\d")

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
    kinds = ("paragraph", "item", "table", "code")
    for level in (1, 2):
        yield f"heading {level}", page.each(lambda piece, level=level: piece.level == level)  # type: ignore[misc]
    yield "heading 3+", page.each(lambda piece: piece.level > 2)
    for kind in kinds:
        yield kind, page.each(lambda piece, kind=kind: piece.kind == kind)  # type: ignore[misc]
    yield "quoted", page.each(lambda piece: piece.quoted)
    yield "words", np.log1p(page.words)
    for length in _LENGTHS:
        yield f"more than {length} words", np.where(page.words > length, 1.0, 0.0)
    yield "links", page.links
    yield "all links", np.where(page.links > 0.8, 1.0, 0.0)
    yield "ends a sentence", page.ends
    yield "holds sentences", page.each(lambda piece: bool(_SENTENCE.search(piece.text)))
    yield "price", page.each(lambda piece: bool(_PRICE.search(piece.text)))
    yield "digits", page.each(lambda piece: len(_DIGIT.findall(piece.text)) / max(len(piece.text), 1))
    yield "image", page.each(lambda piece: "![" in piece.markdown)
    yield "title", page.each(lambda piece: bool(piece.words) and piece.words == page.title)


def _surroundings(page: Reading) -> Iterator[Column]:
    flags = page.containers.flags(page.words)
    for column, kind in enumerate(KINDS):
        yield f"in {kind}", flags[:, column]
    yield "depth", page.each(lambda piece: piece.place.depth)


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
    for distance in _NEIGHBOURS:
        for name, values in told:
            yield f"{name}: {distance} before", shifted(values, distance)
            yield f"{name}: {distance} after", shifted(values, -distance)


def _windows(page: Reading) -> Iterator[Column]:
    numbers, count = np.arange(len(page.words)), len(page.words)
    words, links, taken = map(running, (page.words, page.link_words, page.taken * page.words))
    for size in _WINDOWS:
        low, high = np.maximum(numbers - size, 0), np.minimum(numbers + size + 1, count)
        inside = words[high] - words[low]
        yield f"taken within {size}", per(taken[high] - taken[low], inside)
        yield f"links within {size}", per(links[high] - links[low], inside)
        yield f"words within {size}", np.log1p(inside / (high - low))


def _containers(page: Reading) -> Iterator[Column]:
    tree = page.containers
    words, links = tree.sums(page.words), tree.sums(page.link_words)
    taken, pieces = tree.sums(page.taken * page.words), tree.sums(np.ones(len(page.words)))
    told = (
        ("words", np.log1p(words)),
        ("links", per(links, words)),
        ("taken", per(taken, words)),
        ("words a piece", np.log1p(per(words, pieces))),
    )
    for level, places in enumerate(tree.above(_CONTAINERS)):
        for name, values in told:
            yield f"{name} in container {level}", np.where(places >= 0, values[places], 0.0)


def _likes(page: Reading) -> Iterator[Column]:
    ones = np.ones(len(page.words))
    for name, alike in page.likes.items():
        words = page.others(alike, page.words)
        yield f"number of {name}", np.log1p(page.others(alike, ones))
        yield f"no {name} with words", np.where(words == 0, 1.0, 0.0)
        yield f"words of {name}", np.log1p(words)
        yield f"links of {name}", per(page.others(alike, page.link_words), words)
        yield f"taken of {name}", per(page.others(alike, page.taken * page.words), words)
    copies: dict[str, int] = {}
    seen = []
    for piece in page.pieces:
        seen.append(float(piece.text in copies))
        copies[piece.text] = copies.get(piece.text, 0) + 1
    yield "copies", page.each(lambda piece: float(np.log(copies[piece.text])))
    yield "seen before", np.array(seen, dtype=np.float64)


def _whole(page: Reading) -> Iterator[Column]:
    taken = float((page.taken * page.words).sum())
    yield "taken of the page", everywhere(page, taken / page.total)
    yield "words taken of the page", everywhere(page, float(np.log1p(taken)))
    yield "words of the page", everywhere(page, float(np.log1p(page.total)))
    yield "pieces of the page", everywhere(page, float(np.log1p(len(page.words))))
    yield "links of the page", everywhere(page, float(page.link_words.sum()) / page.total)
