"""`weir.knowledge.rerank` by the unmodified OpenAI SDK: the sources of an answer in a model's order."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import openai
import pytest

from chat.settings import ChatSettings
from shared.ledger.usage import UsageRecord
from shared.limits.keys import NewKey, create_key
from shared.postgres.database import Database
from tests.contract.upstream import Reply, StreamReply, Upstream, as_events, running_upstream, transcript
from tests.integration.knowledge_world import World
from tests.integration.test_chat import records, serving

pytestmark = pytest.mark.usefixtures("aws")

CATALOG = """
[[providers]]
name = "answering"
base_url = "{answering}"
secret = "none"
[[providers.models]]
kind = "chat"
name = "test-model"
context_window = 8192
price = {{ input = "1", output = "2" }}

[[providers]]
name = "rating"
base_url = "{rating}"
secret = "none"
[[providers.models]]
kind = "rerank"
name = "test-reranker"
context_window = 512
price = {{ input = "2", output = "0" }}
[[providers.models]]
kind = "chat"
name = "rating-model"
context_window = 8192
price = {{ input = "1", output = "2" }}

[[providers]]
name = "local-embeddings"
base_url = "{embeddings}"
secret = "none"
[[providers.models]]
kind = "embedding"
name = "use-multilingual-v3"
context_window = 512
dimensions = 512
price = {{ input = "1", output = "0" }}
"""

QUESTION = "How much water does the weir at Anholt hold?"
NEAR = "The weir at Anholt holds much water, and nobody says how much."
RIGHT = "At Anholt it is two litres."
ANSWER = {
    "id": "1",
    "object": "chat.completion",
    "created": 1,
    "model": "test-model",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Two litres."}, "finish_reason": "stop"}
    ],
    "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
}


@dataclass
class Asking:
    """A tenant's store, who answers from it and who rates what is found."""

    sdk: openai.AsyncOpenAI
    answering: Upstream
    rating: Upstream
    store: str

    async def ask(self, rerank: bool | str | None, **fields: Any) -> Any:
        """The answer and its headers."""
        knowledge = {"vector_store_ids": [self.store], "max_results": 2}
        knowledge |= {} if rerank is None else {"rerank": rerank}
        return await self.sdk.chat.completions.with_raw_response.create(
            model="test-model",
            messages=[{"role": "user", "content": QUESTION}],
            extra_body={"weir": {"knowledge": knowledge}},
            **fields,
        )

    def first_source(self) -> str:
        """Which text stands first in the prompt that was sent last."""
        prompt = self.answering.requests[-1]["messages"][-1]["content"]
        return min((NEAR, RIGHT), key=prompt.index)


@pytest.fixture
async def asking(
    request, embedding_url, database, database_url, valkey_url, queues, tenant_id, tmp_path, monkeypatch
) -> AsyncIterator[Asking]:
    monkeypatch.setenv("TEST_DATABASE_URL", database_url)
    world = World(database, tenant_id)
    store = await world.new_store()
    for name, text in (("near.md", NEAR), ("right.md", RIGHT)):
        await world.add(store, name, text)
    async with running_upstream() as answering, running_upstream() as rating:
        catalog = tmp_path / "catalog.toml"
        catalog.write_text(
            CATALOG.format(answering=answering.url, rating=rating.url, embeddings=embedding_url)
        )
        answering.replies = [Reply(ANSWER)]
        settings = ChatSettings(
            database_secret="env:TEST_DATABASE_URL",
            valkey_url=valkey_url,
            valkey_timeout_ms=2000,
            usage_queue_url=queues.usage,
            catalog=str(catalog),
            provider_secrets="env:NO_SUCH_{PROVIDER}",
            embedding_model="use-multilingual-v3",
            **getattr(request, "param", {}),
        )
        async with serving(settings) as url, await client_of(database, tenant_id, url) as sdk:
            yield Asking(sdk, answering, rating, store)


async def client_of(
    database: Database, tenant_id: str, url: str, models: tuple[str, ...] | None = None
) -> openai.AsyncOpenAI:
    """An SDK client with a new key."""
    new = NewKey(tenant_id=tenant_id, name="test", models=models)
    async with database.tenant(tenant_id) as connection:
        issued = await create_key(connection, new)
    return openai.AsyncOpenAI(base_url=url, api_key=issued.plaintext, max_retries=0)


BEST_IS_SECOND = Reply(
    {
        "results": [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}],
        "usage": {"total_tokens": 40},
    }
)


async def billed(queue_url: str, count: int) -> list[UsageRecord]:
    found: list[UsageRecord] = []
    while len(found) < count:
        found += await records(queue_url)
    return found


async def test_a_reranker_puts_the_sources_of_an_answer_in_order_and_is_billed(
    asking: Asking, queues, tenant_id
) -> None:
    plain = await asking.ask(None)
    assert asking.first_source() == NEAR
    assert "x-weir-reranked" not in plain.headers
    assert asking.rating.requests == []
    await billed(queues.usage, 2)

    asking.rating.replies = [BEST_IS_SECOND]
    answer = await asking.ask("test-reranker")
    assert asking.first_source() == RIGHT
    assert answer.headers["x-weir-reranked"] == "true"
    assert "x-weir-rerank-error" not in answer.headers
    assert asking.rating.paths == ["/v1/rerank"]
    assert asking.rating.requests[0]["query"] == QUESTION
    by_model = {record.model: record for record in await billed(queues.usage, 3)}
    record = by_model["test-reranker"]
    assert (record.tenant_id, record.endpoint) == (tenant_id, "/v1/chat/completions#knowledge")
    assert (record.prompt_tokens, record.cost_microdollars, record.estimated) == (40, 80, False)
    assert by_model["use-multilingual-v3"].endpoint == record.endpoint


async def test_a_stream_and_an_answer_of_the_cache_say_so_too(asking: Asking) -> None:
    asking.rating.replies = [BEST_IS_SECOND]
    asking.answering.replies = [StreamReply([as_events(transcript("openai-text"))])]
    stream = await asking.ask("test-reranker", stream=True)
    assert [chunk async for chunk in stream.parse()]
    assert (stream.headers["x-weir-cache"], stream.headers["x-weir-reranked"]) == ("miss", "true")
    again = await asking.ask("test-reranker")
    assert (again.headers["x-weir-cache"], again.headers["x-weir-reranked"]) == ("hit", "true")
    assert len(asking.answering.requests) == 1


async def test_when_the_reranker_fails_the_answer_comes_from_the_searchs_own_order(asking: Asking) -> None:
    asking.rating.replies = [Reply({"error": {"message": "sorry,\nkein Gerät"}}, 400)]
    answer = await asking.ask("test-reranker")
    assert answer.parse().choices[0].message.content == "Two litres."
    assert asking.first_source() == NEAR
    assert answer.headers["x-weir-reranked"] == "false"
    assert answer.headers["x-weir-rerank-error"] == r"sorry,\nkein Ger\xe4t"


async def test_a_chat_model_may_rerank(asking: Asking) -> None:
    ratings = {"index": 0, "message": {"role": "assistant", "content": "[1, 9]"}, "finish_reason": "stop"}
    asking.rating.replies = [Reply({**ANSWER, "choices": [ratings]})]
    answer = await asking.ask("rating-model")
    assert answer.headers["x-weir-reranked"] == "true"
    assert asking.first_source() == RIGHT


async def test_a_model_that_is_not_there_or_not_allowed_is_refused_as_by_a_search(
    asking: Asking, database, tenant_id
) -> None:
    with pytest.raises(openai.NotFoundError, match="no rerank model 'nobody'"):
        await asking.ask("nobody")
    url = str(asking.sdk.base_url)
    async with await client_of(database, tenant_id, url, models=("test-model",)) as asking.sdk:
        with pytest.raises(openai.PermissionDeniedError, match="test-reranker") as refused:
            await asking.ask("test-reranker")
    assert refused.value.param == "weir.knowledge.rerank"
    assert asking.answering.requests == asking.rating.requests == []


async def test_without_a_model_of_the_deployment_nothing_changes_and_it_is_said(asking: Asking) -> None:
    answer = await asking.ask(True)
    assert asking.first_source() == NEAR
    assert answer.headers["x-weir-reranked"] == "false"
    assert "WEIR_RERANK_MODEL" in answer.headers["x-weir-rerank-error"]


@pytest.mark.parametrize("asking", [{"rerank_model": "test-reranker"}], indirect=True)
async def test_the_deployments_model_needs_no_name(asking: Asking) -> None:
    asking.rating.replies = [BEST_IS_SECOND]
    assert (await asking.ask(True)).headers["x-weir-reranked"] == "true"
    assert asking.first_source() == RIGHT
