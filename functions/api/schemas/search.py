"""Searches as OpenAI's SDK sends and expects them (openai/types/vector_store_search_*.py)."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from api.schemas.fields import Name, RequestModel, Text
from shared.knowledge.filters import AttributeFilter
from shared.knowledge.passage import Passage
from shared.knowledge.search_models import Reranking
from shared.knowledge.store_models import AttributeValue

_Query = Annotated[Text, Field(min_length=1)]


class RankingOptions(RequestModel):
    """By whichever of OpenAI's names, Weir's one ranker; `weir.rerank` adds a model. Scores are 0 to 1."""

    ranker: Literal["none", "auto", "default-2024-11-15"] = "auto"
    score_threshold: Annotated[float, Field(ge=0, le=1)] = 0.0


class SearchExtras(RequestModel):
    """What OpenAI has no word for.

    `diversity`: how much a passage loses for being like those above it. `rerank`: let a model put the best
    passages in order: that which the deployment has set, or a rerank or chat model by its name.
    """

    diversity: Annotated[float, Field(ge=0, le=1)] = 0.0
    rerank: bool | Name = False


class SearchRequest(RequestModel):
    """POST /v1/vector_stores/{id}/search. `search_query` of the answer is what was searched."""

    query: _Query | Annotated[list[_Query], Field(min_length=1, max_length=8)]
    filters: AttributeFilter | None = None
    max_num_results: Annotated[int, Field(ge=1, le=50)] = 10
    ranking_options: RankingOptions = RankingOptions()
    rewrite_query: bool = False
    weir: SearchExtras = SearchExtras()

    @property
    def queries(self) -> tuple[str, ...]:
        """One query or more."""
        return (self.query,) if isinstance(self.query, str) else tuple(self.query)


class ResultText(BaseModel):
    """The text of a result."""

    type: Literal["text"] = "text"
    text: str


class ResultExtras(BaseModel):
    """Where the text stands: pages and rows from 1, and characters of the file's clean text."""

    source_url: str | None
    headings: list[str]
    page_first: int | None
    page_last: int | None
    row_first: int | None
    row_last: int | None
    char_start: int
    char_end: int


class SearchResult(BaseModel):
    """OpenAI's search result."""

    file_id: str
    filename: str
    score: float
    attributes: Mapping[str, AttributeValue]
    content: list[ResultText]
    weir: ResultExtras


class PageExtras(BaseModel):
    """Whether a model put the results in order; if one was to and did not, why; they stay as they were."""

    reranked: bool
    rerank_error: str | None


class SearchResultPage(BaseModel):
    """OpenAI's page of search results, which is the only one."""

    object: Literal["vector_store.search_results.page"] = "vector_store.search_results.page"
    search_query: list[str]
    data: list[SearchResult]
    has_more: Literal[False] = False
    next_page: None = None
    weir: PageExtras


def result_page(
    queries: Sequence[str], passages: Sequence[Passage], reranking: Reranking
) -> SearchResultPage:
    """Passages as they are answered."""
    return SearchResultPage(
        search_query=list(queries),
        data=[_result(passage) for passage in passages],
        weir=PageExtras(reranked=reranking.done, rerank_error=reranking.error),
    )


def _result(passage: Passage) -> SearchResult:
    return SearchResult(
        file_id=passage.file_id,
        filename=passage.filename,
        score=passage.score,
        attributes=passage.attributes,
        content=[ResultText(text=passage.text)],
        weir=ResultExtras(
            source_url=passage.source_url,
            headings=list(passage.headings),
            page_first=passage.page_first,
            page_last=passage.page_last,
            row_first=passage.row_first,
            row_last=passage.row_last,
            char_start=passage.char_start,
            char_end=passage.char_end,
        ),
    )
