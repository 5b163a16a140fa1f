"""The `/rerank` endpoint kind: asked as Cohere, Jina and vLLM are, billed, and never believed blindly."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.errors import NotFoundError
from shared.knowledge.reranker import EndpointReranker, WatchedReranker, reranked
from shared.ledger.outbox import UsageOutbox
from shared.ledger.usage import UsageBatch, UsageRecord
from shared.providers.catalog import Catalog, Models
from shared.providers.failures import UpstreamFailure
from shared.providers.load import load_credentials
from shared.routing.patience import Patience
from shared.routing.payer import Payer
from shared.routing.reranking import RoutedReranker
from shared.routing.router import Router
from shared.telemetry import logger
from tests.contract.bench import MemoryQueue
from tests.contract.upstream import Reply, Upstream, running_upstream
from tests.unit.knowledge.passages import passage

NOON = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)

CATALOG = """
[[providers]]
name = "{name}"
base_url = "{url}"
secret = "none"
[[providers.models]]
kind = "rerank"
name = "test-reranker"
upstream_name = "upstream-reranker"
priority = {priority}
context_window = 8192
document_characters = 12
price = {{ input = "2", output = "0" }}
"""

PASSAGES = [passage("Bread."), passage("A weir is a low dam."), passage("Rivers.")]


def results(*scores: float) -> list[dict[str, Any]]:
    """Best first, as every provider has them."""
    found = [{"index": place, "relevance_score": score} for place, score in enumerate(scores)]
    return sorted(found, key=lambda result: -float(result["relevance_score"]))


@dataclass
class Reranking:
    """A reranker over two upstreams, of which `first` is asked before `second`."""

    first: Upstream
    second: Upstream
    router: Router
    models: Models
    queue: MemoryQueue = field(default_factory=MemoryQueue)

    def reranker(self, model: str = "test-reranker") -> RoutedReranker:
        outbox = UsageOutbox(self.queue, "inline", logger("test"))  # type: ignore[arg-type]
        payer = Payer("tenant", "key", "/v1/vector_stores/search")
        return RoutedReranker(
            self.models, self.router, outbox, payer, lambda: NOON, model=model, seconds=60.0
        )

    @property
    def records(self) -> list[UsageRecord]:
        return [r for message in self.queue.sent if isinstance(message, UsageBatch) for r in message.records]


@pytest.fixture
async def world() -> AsyncIterator[Reranking]:
    async with running_upstream() as first, running_upstream() as second:
        catalog = Catalog.from_toml(
            CATALOG.format(name="first", url=first.url, priority=0)
            + CATALOG.format(name="second", url=second.url, priority=1)
        )
        credentials = await load_credentials(catalog, "env:NONE_{PROVIDER}")
        router = Router(credentials, patience=Patience(back_off_seconds=0.01))
        yield Reranking(first, second, router, Models(catalog))
        await router.close()


COHERE = {"id": "1", "results": results(0.1, 0.9, 0.4), "meta": {"billed_units": {"search_units": 1}}}
JINA = {"model": "m", "results": results(0.1, 0.9, 0.4), "usage": {"total_tokens": 30}}
VLLM = {"id": "1", "results": results(0.1, 0.9, 0.4), "usage": {"prompt_tokens": 30, "total_tokens": 30}}


@pytest.mark.parametrize(
    ("answer", "tokens"), [(COHERE, None), (JINA, 30), (VLLM, 30)], ids=["cohere", "jina", "vllm"]
)
async def test_passages_are_rated_in_one_call_which_is_billed(world, answer, tokens) -> None:
    world.first.replies = [Reply(answer)]
    found = await reranked(EndpointReranker(world.reranker()), "What is a weir?", PASSAGES)
    assert [(p.text[:5], p.score) for p in found] == [("A wei", 0.9), ("River", 0.4), ("Bread", 0.1)]
    assert world.first.paths == ["/v1/rerank"]
    (asked,) = world.first.requests
    assert asked == {
        "model": "upstream-reranker",
        "query": "What is a weir?",
        "documents": [EXPECTED[p.text] for p in PASSAGES],
        "top_n": 3,
    }
    (record,) = world.records
    assert (record.model, record.provider, record.endpoint) == (
        "test-reranker",
        "first",
        "/v1/vector_stores/search",
    )
    assert record.estimated is (tokens is None)
    assert record.prompt_tokens == (tokens or record.prompt_tokens) > 0
    assert record.cost_microdollars == 2 * record.prompt_tokens


EXPECTED = {p.text: "\n".join([" > ".join(p.headings), p.text]).strip()[:12] for p in PASSAGES}


async def test_another_deployment_answers_where_one_fails(world) -> None:
    world.first.replies = [Reply({"error": {"message": "busy"}}, 503)]
    world.second.replies = [Reply(JINA)]
    assert await world.reranker().relevance("weir?", ["a", "b", "c"]) == [0.1, 0.9, 0.4]
    assert [record.provider for record in world.records] == ["second"]


async def test_an_answer_that_is_none_is_asked_of_another(world) -> None:
    world.first.replies = [Reply({"data": []})]
    world.second.replies = [Reply(JINA)]
    assert await world.reranker().relevance("weir?", ["a", "b", "c"]) == [0.1, 0.9, 0.4]


async def test_logits_become_scores_in_the_same_order(world) -> None:
    world.first.replies = [Reply({"results": results(-4.0, 1000.0, 0.0)})]
    scores = await world.reranker().relevance("weir?", ["a", "b", "c"])
    assert scores[2] == 0.5
    assert 0 < scores[0] < scores[2] < scores[1] <= 1


BROKEN = {
    "one too few": results(0.5, 0.4),
    "one twice": [*results(0.5, 0.4), {"index": 1, "relevance_score": 0.1}],
    "one that is none": results(0.1, 0.2, 0.3, 0.4),
    "no number": [*results(0.5, 0.4), {"index": 2, "relevance_score": "0.3"}],
    "no results": ["a", "b", "c"],
}


@pytest.mark.parametrize("given", BROKEN.values(), ids=BROKEN)
async def test_without_a_score_for_each_the_order_stays_and_it_is_known(world, given) -> None:
    world.first.replies = [Reply({"results": given})]
    watched = WatchedReranker(EndpointReranker(world.reranker()))
    assert await reranked(watched, "weir?", PASSAGES) == PASSAGES
    assert watched.failure is not None
    assert watched.failure.kind == "broken"
    # What was answered was paid all the same.
    assert len(world.records) == 1


async def test_when_nobody_answers_nothing_is_billed(world) -> None:
    world.first.replies = world.second.replies = [Reply({"error": {"message": "busy"}}, 503)]
    with pytest.raises(UpstreamFailure, match="overloaded"):
        await world.reranker().relevance("weir?", ["a"])
    assert world.records == []


async def test_only_a_rerank_model_reranks(world) -> None:
    with pytest.raises(NotFoundError, match="no rerank model 'other'"):
        world.reranker("other")
    with pytest.raises(NotFoundError, match="no chat model"):
        world.models.chat("test-reranker")
