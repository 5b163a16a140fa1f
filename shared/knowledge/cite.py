"""Which passages an answer rests on, and the sentence of each that says so.

A model may cite by number; a small one often does not. Markers are believed as far as they name a source that
was given. Without any, each sentence of the answer is attributed to the source sentence that shares most of
its terms, if that is enough.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

from shared.knowledge.passage import Passage
from shared.knowledge.sentences import sentences
from shared.knowledge.terms import query_terms

_MARKER = re.compile(r"\[(\d{1,3})\]")

# Part of an answer sentence's terms that the source sentence must hold: half may be the model's own words.
_ENOUGH = 0.5

# Sentences with fewer terms ("Yes, it is.") would be found anywhere.
_FEWEST_TERMS = 3


@dataclass(frozen=True, kw_only=True)
class Citation:
    """A statement of the answer and the place that supports it.

    `index` is the character of the answer after which it is cited. `quote` is the range `char_start` to
    `char_end` of the file's clean text.
    """

    passage: Passage
    index: int
    quote: str
    char_start: int
    char_end: int


def cite(answer: str, passages: Sequence[Passage]) -> list[Citation]:
    """The citations of an answer in the order of the answer, one per place and passage.

    Args:
        passages: Those given to the model; marker `[n]` means `passages[n - 1]`.
    """
    marked = list(_by_markers(answer, passages))
    return _once_each(marked or _by_overlap(answer, passages))


def _by_markers(answer: str, passages: Sequence[Passage]) -> Iterator[Citation]:
    spans = sentences(answer)
    for marker in _MARKER.finditer(answer):
        number = int(marker[1])
        if not 1 <= number <= len(passages):
            continue
        passage = passages[number - 1]
        statement = next((answer[s:e] for s, e in spans if s <= marker.start() < e), "")
        place = _closest(statement, passage) or _Place(0, len(passage.text), 0.0)
        yield _citation(passage, place, marker.start())


def _by_overlap(answer: str, passages: Sequence[Passage]) -> Iterator[Citation]:
    for start, end in sentences(answer):
        places = [(passage, _closest(answer[start:end], passage)) for passage in passages]
        found = [(passage, place) for passage, place in places if place and place.share >= _ENOUGH]
        if found:
            passage, place = max(found, key=lambda each: each[1].share)
            yield _citation(passage, place, end)


@dataclass(frozen=True)
class _Place:
    """A sentence of a passage, and the part of a statement's terms that stand in it."""

    start: int
    end: int
    share: float


def _closest(statement: str, passage: Passage) -> _Place | None:
    """The sentence of the passage that shares most with the statement; `None` if nothing is shared."""
    wanted = frozenset(query_terms(_MARKER.sub("", statement)))
    if len(wanted) < _FEWEST_TERMS:
        return None
    places = [
        _Place(start, end, len(wanted & frozenset(query_terms(passage.text[start:end]))) / len(wanted))
        for start, end in sentences(passage.text)
    ]
    best = max(places, key=lambda place: place.share, default=None)
    return best if best and best.share > 0 else None


def _citation(passage: Passage, place: _Place, index: int) -> Citation:
    return Citation(
        passage=passage,
        index=index,
        quote=passage.text[place.start : place.end],
        char_start=passage.char_start + place.start,
        char_end=passage.char_start + place.end,
    )


def _once_each(citations: Sequence[Citation] | Iterator[Citation]) -> list[Citation]:
    seen: dict[tuple[str, int], Citation] = {}
    for citation in citations:
        seen.setdefault((citation.passage.file_id, citation.char_start), citation)
    return list(seen.values())


class _Annotated(BaseModel):
    model_config = ConfigDict(frozen=True)


class CitedPlace(_Annotated):
    """What OpenAI's annotation has no field for: the quoted place. Characters are those of the clean text."""

    vector_store_id: str
    quote: str
    char_start: int
    char_end: int
    page: int | None
    row: int | None
    headings: tuple[str, ...]
    score: float


class FileCitation(_Annotated):
    """OpenAI's `file_citation`."""

    type: Literal["file_citation"] = "file_citation"
    index: int
    file_id: str
    filename: str
    weir: CitedPlace


class UrlRange(_Annotated):
    """OpenAI's `url_citation`, and the file that holds the page's text."""

    start_index: int
    end_index: int
    url: str
    title: str


class UrlCitation(_Annotated):
    """A cited page of the web."""

    type: Literal["url_citation"] = "url_citation"
    url_citation: UrlRange
    file_id: str
    filename: str
    weir: CitedPlace


def annotation(citation: Citation) -> FileCitation | UrlCitation:
    """A citation as an element of OpenAI's `annotations`."""
    passage = citation.passage
    place = CitedPlace(
        vector_store_id=passage.vector_store_id,
        quote=citation.quote,
        char_start=citation.char_start,
        char_end=citation.char_end,
        page=passage.page_first,
        row=passage.row_first,
        headings=passage.headings,
        score=round(passage.score, 4),
    )
    if passage.source_url is None:
        return FileCitation(
            index=citation.index, file_id=passage.file_id, filename=passage.filename, weir=place
        )
    return UrlCitation(
        url_citation=UrlRange(
            start_index=citation.index,
            end_index=citation.index,
            url=passage.source_url,
            title=passage.headings[0] if passage.headings else passage.filename,
        ),
        file_id=passage.file_id,
        filename=passage.filename,
        weir=place,
    )
