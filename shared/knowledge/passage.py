"""A found piece of a file."""

from collections.abc import Mapping
from dataclasses import dataclass

AttributeValue = str | float | bool


@dataclass(frozen=True, kw_only=True)
class Passage:
    """A chunk that answers a question, and where it stands.

    `text` is the range `char_start` to `char_end` of the file's clean text. Pages and rows count from 1; they
    are `None` where the file has none. `score` is 0 to 1 (see `shared.knowledge.ranking.rank`).
    """

    vector_store_id: str
    file_id: str
    filename: str
    source_url: str | None
    attributes: Mapping[str, AttributeValue]
    score: float
    text: str
    headings: tuple[str, ...]
    page_first: int | None
    page_last: int | None
    row_first: int | None
    row_last: int | None
    char_start: int
    char_end: int
