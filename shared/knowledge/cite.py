"""Finds what an answer rests on: the passages that it names, or else those that it repeats."""

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

from shared.knowledge.passage import Passage
from shared.knowledge.sentences import sentences
from shared.knowledge.support import FEWEST_TERMS, MARKER, content_terms, may_support
from shared.knowledge.terms import query_terms

_NUMBER = re.compile(r"\d+")

# The part of an answer sentence's term weight that a sentence of a source must hold to be taken for its
# origin.
_OVERLAP = 0.5


@dataclass(frozen=True, kw_only=True)
class Citation:
    """A place of the answer and what it rests on.

    `quote` is the range `char_start` to `char_end` of the file's clean text. `index` to `index_end` is the
    marker in the answer; where the answer has none, both are the end of the sentence that was recognised.
    """

    passage: Passage
    quote: str
    char_start: int
    char_end: int
    index: int
    index_end: int


@dataclass(frozen=True)
class _Sentence:
    """A sentence of a passage, `start` to `end` of the passage's text."""

    number: int
    passage: Passage
    start: int
    end: int
    terms: frozenset[str]

    def citation(self, index: int, index_end: int) -> Citation:
        return Citation(
            passage=self.passage,
            quote=self.passage.text[self.start : self.end],
            char_start=self.passage.char_start + self.start,
            char_end=self.passage.char_start + self.end,
            index=index,
            index_end=index_end,
        )


def cite(answer: str, passages: Sequence[Passage]) -> list[Citation]:
    """The citations of an answer that was given from these passages, numbered from 1, in the answer's order.

    Markers count that name a passage which may bear out their sentence; others are passed over. Where there
    are none, each sentence of the answer is held against the sentences of the passages.
    """
    sources = [sentence for number, passage in enumerate(passages, 1) for sentence in _split(number, passage)]
    weights = _weights(sources)
    if any(_names(marker, passages) for marker in MARKER.finditer(answer)):
        return _marked(answer, passages, sources, weights)
    return _recognised(answer, sources, weights)


def _names(marker: re.Match[str], passages: Sequence[Passage]) -> bool:
    return any(1 <= number <= len(passages) for number in map(int, _NUMBER.findall(marker[1])))


def _split(number: int, passage: Passage) -> list[_Sentence]:
    return [
        _Sentence(number, passage, start, end, frozenset(query_terms(passage.text[start:end])))
        for start, end in sentences(passage.text)
    ]


_Weights = Callable[[str], float]


def _weights(sources: Sequence[_Sentence]) -> _Weights:
    """What a term tells: the more, the fewer sentences it is in; that of no sentence the most."""
    holding = Counter(term for sentence in sources for term in sentence.terms)
    return lambda term: math.log(1 + len(sources) / max(1, holding[term]))


def _marked(
    answer: str, passages: Sequence[Passage], sources: Sequence[_Sentence], weights: _Weights
) -> list[Citation]:
    found: dict[tuple[int, int], Citation] = {}
    for marker in MARKER.finditer(answer):
        claim = _sentence_before(answer, marker.start())
        for number in map(int, _NUMBER.findall(marker[1])):
            if not (1 <= number <= len(passages) and may_support(passages[number - 1], claim)):
                continue
            origin = _closest(claim, [s for s in sources if s.number == number], weights)
            if origin is not None:
                found.setdefault((number, marker.start()), origin.citation(*marker.span()))
    return list(found.values())


def _sentence_before(answer: str, end: int) -> str:
    """The sentence that a marker at `end` stands in or after."""
    text = MARKER.sub("", answer[:end]).rstrip()
    spans = sentences(text)
    return text[slice(*spans[-1])] if spans else ""


def _recognised(answer: str, sources: Sequence[_Sentence], weights: _Weights) -> list[Citation]:
    found: dict[tuple[int, int], Citation] = {}
    for start, end in sentences(answer):
        origin = _closest(answer[start:end], sources, weights)
        if origin is not None and _supports(origin, answer[start:end], weights):
            found.setdefault((origin.number, origin.start), origin.citation(end, end))
    return list(found.values())


def _closest(claim: str, sources: Sequence[_Sentence], weights: _Weights) -> _Sentence | None:
    """The sentence that holds most of what the claim says; of equals the first, in the better passage."""
    terms = query_terms(claim)
    return max(sources, key=lambda s: sum(weights(t) for t in terms if t in s.terms), default=None)


def _supports(sentence: _Sentence, claim: str, weights: _Weights) -> bool:
    terms = content_terms(claim)
    shared = [term for term in terms if term in sentence.terms]
    return len(shared) >= FEWEST_TERMS and sum(map(weights, shared)) >= _OVERLAP * sum(map(weights, terms))


class Place(BaseModel):
    """Weir's part of an annotation: the quoted place in the file's clean text, and in the file.

    Page and row count from 1. They are `None` where the file has none, and where the passage spans several
    and does not say which of them the quote is on.
    """

    model_config = ConfigDict(frozen=True)

    quote: str
    char_start: int
    char_end: int
    page: int | None
    row: int | None
    headings: tuple[str, ...]
    score: float
    vector_store_id: str


class FileCitation(BaseModel):
    """OpenAI's `file_citation`; `index` is a position in the answer, in characters."""

    model_config = ConfigDict(frozen=True)

    type: Literal["file_citation"] = "file_citation"
    index: int
    file_id: str
    filename: str
    weir: Place


class UrlSpan(BaseModel):
    """Which page, and where in the answer."""

    model_config = ConfigDict(frozen=True)

    start_index: int
    end_index: int
    url: str
    title: str


class UrlCitation(BaseModel):
    """OpenAI's `url_citation`, for what was scraped, and the file that holds the page's text."""

    model_config = ConfigDict(frozen=True)

    type: Literal["url_citation"] = "url_citation"
    url_citation: UrlSpan
    file_id: str
    filename: str
    weir: Place


Annotation = FileCitation | UrlCitation


def annotation(citation: Citation) -> Annotation:
    """The citation in OpenAI's shape."""
    passage = citation.passage
    place = Place(
        quote=citation.quote,
        char_start=citation.char_start,
        char_end=citation.char_end,
        page=passage.page_first if passage.page_first == passage.page_last else None,
        row=_row(citation),
        headings=passage.headings,
        score=passage.score,
        vector_store_id=passage.vector_store_id,
    )
    if passage.source_url is None:
        return FileCitation(
            index=citation.index, file_id=passage.file_id, filename=passage.filename, weir=place
        )
    span = UrlSpan(
        start_index=citation.index,
        end_index=citation.index_end,
        url=passage.source_url,
        title=passage.headings[0] if passage.headings else passage.filename,
    )
    return UrlCitation(url_citation=span, file_id=passage.file_id, filename=passage.filename, weir=place)


def _row(citation: Citation) -> int | None:
    """The row of the quote: a row is a line, if the passage has as many lines as it spans rows."""
    first, last, text = citation.passage.row_first, citation.passage.row_last, citation.passage.text
    if first is None or last is None or first == last:
        return first
    if text.count("\n") != last - first:
        return None
    return first + text.count("\n", 0, citation.char_start - citation.passage.char_start)
