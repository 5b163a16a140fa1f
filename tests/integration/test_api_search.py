"""Searches by the unmodified OpenAI SDK, over real PostgreSQL and the real local embedding model."""

import json

import openai
import pytest

from shared.knowledge.chunk import Chunk
from shared.knowledge.index import replace_chunks
from shared.ledger.usage import UsageBatch
from shared.limits.keys import NewKey, create_key
from shared.limits.limits import Limits
from tests.integration.api_stack import Api, Member, bodies
from tests.integration.test_api_files import upload

pytest_plugins = ["tests.integration.api_fixtures"]

TEXTS = {
    "weir.md": (
        "A weir is a low dam built across a river to raise the level of water.",
        {"lang": "en", "year": 2024},
    ),
    "bread.md": (
        "Bread is baked from flour, water, salt and yeast in a hot oven.",
        {"lang": "en", "year": 2026},
    ),
    "shan.md": ("黄山位于安徽省，以奇松、怪石、云海闻名。", {"lang": "zh", "year": 2026}),
}


@pytest.fixture
async def store(api: Api, member: Member) -> str:
    """A store with three indexed files of one chunk each."""
    made = await member.sdk.vector_stores.create(name="search")
    embedder = api.services.embedder(
        await api.services.keyring.authenticate(f"Bearer {member.api_key}", api.services.clock())
    )
    for name, (text, attributes) in TEXTS.items():
        file = await upload(member.sdk, name, text.encode())
        await member.sdk.vector_stores.files.create(made.id, file_id=file.id, attributes=attributes)
        chunk = Chunk(
            text=text,
            start=0,
            end=len(text),
            headings=("Title",),
            lead="",
            page_first=3,
            page_last=4,
            row_first=None,
            row_last=None,
        )
        vectors = await embedder.embed("use-multilingual-v3", [text])
        async with api.services.database.tenant(member.tenant_id) as connection:
            await replace_chunks(
                connection,
                tenant_id=member.tenant_id,
                vector_store_id=made.id,
                file_id=file.id,
                chunks=[chunk],
                embeddings=vectors,
                embedding_model="use-multilingual-v3",
            )
    return made.id


async def names(sdk: openai.AsyncOpenAI, store: str, **query) -> list[str]:
    return [result.filename async for result in sdk.vector_stores.search(store, **query)]


async def test_a_result_has_openais_shape_and_its_place(sdk: openai.AsyncOpenAI, store: str) -> None:
    page = await sdk.vector_stores.search(store, query="What raises the water of a river?", max_num_results=1)
    assert page.object == "vector_store.search_results.page"
    assert page.model_extra["search_query"] == ["What raises the water of a river?"]
    assert page.model_extra["has_more"] is False
    (result,) = page.data
    assert (result.filename, result.attributes) == ("weir.md", {"lang": "en", "year": 2024})
    assert result.file_id.startswith("file-")
    assert 0 < result.score <= 1
    assert [(part.type, part.text) for part in result.content] == [("text", TEXTS["weir.md"][0])]
    assert result.weir["headings"] == ["Title"]
    assert (result.weir["page_first"], result.weir["page_last"], result.weir["row_first"]) == (3, 4, None)
    assert (result.weir["char_start"], result.weir["char_end"]) == (0, len(TEXTS["weir.md"][0]))


async def test_the_best_comes_first_in_either_language(sdk: openai.AsyncOpenAI, store: str) -> None:
    assert (await names(sdk, store, query="How is bread made?"))[0] == "bread.md"
    assert (await names(sdk, store, query="黄山在哪里？"))[0] == "shan.md"


async def test_filters_narrow_a_search(sdk: openai.AsyncOpenAI, store: str) -> None:
    zh = {"type": "eq", "key": "lang", "value": "zh"}
    assert await names(sdk, store, query="bread", filters=zh) == ["shan.md"]
    recent = {"type": "and", "filters": [{"type": "gte", "key": "year", "value": 2025}, {**zh, "type": "ne"}]}
    assert await names(sdk, store, query="river", filters=recent) == ["bread.md"]


async def test_several_queries_are_searched_at_once(sdk: openai.AsyncOpenAI, store: str) -> None:
    found = await names(sdk, store, query=["bread from flour", "黄山"], max_num_results=2)
    assert set(found) == {"bread.md", "shan.md"}


async def test_a_threshold_leaves_out_what_is_far(sdk: openai.AsyncOpenAI, store: str) -> None:
    options = {"ranker": "auto", "score_threshold": 0.99}
    found = await names(sdk, store, query="flour yeast oven", ranking_options=options)
    assert found in (["bread.md"], [])
    assert len(await names(sdk, store, query="flour yeast oven")) > len(found)


async def test_a_search_is_billed_to_its_key(api: Api, member: Member, store: str) -> None:
    await bodies(api.queues.usage)
    await member.sdk.vector_stores.search(store, query="bread")
    (message,) = await bodies(api.queues.usage)
    (record,) = UsageBatch.model_validate_json(message).records
    assert (record.tenant_id, record.key_id) == (member.tenant_id, member.key_id)
    assert record.endpoint == "/v1/vector_stores/search"
    assert record.prompt_tokens > 0


async def test_a_search_counts_against_the_limits_of_its_key(api: Api, member: Member, store: str) -> None:
    async with api.services.database.tenant(member.tenant_id) as connection:
        new = NewKey(tenant_id=member.tenant_id, name="slow", limits=Limits(requests_per_minute=1))
        slow = await create_key(connection, new)
    async with openai.AsyncOpenAI(base_url=f"{api.url}/v1", api_key=slow.plaintext, max_retries=0) as sdk:
        answer = await sdk.vector_stores.with_raw_response.search(store, query="bread")
        assert answer.headers["x-ratelimit-remaining-requests"] == "0"
        with pytest.raises(openai.RateLimitError) as caught:
            await sdk.vector_stores.search(store, query="bread")
    assert int(caught.value.response.headers["retry-after"]) >= 1


async def test_a_search_puts_off_the_expiry_of_its_store(api: Api, member: Member, store: str) -> None:
    async with api.services.database.tenant(member.tenant_id) as connection:
        await connection.execute(
            "UPDATE vector_stores SET last_active_at = now() - interval '1 day', expires_after_days = 1"
        )
    expired = await member.sdk.vector_stores.retrieve(store)
    assert expired.status == "expired"
    await member.sdk.vector_stores.search(store, query="bread")
    used = await member.sdk.vector_stores.retrieve(store)
    assert (used.last_active_at > expired.last_active_at, used.status) == (True, "in_progress")


async def test_what_no_model_is_set_for_changes_nothing(sdk: openai.AsyncOpenAI, store: str) -> None:
    plain = await names(sdk, store, query="bread")
    extras = {"weir": {"rerank": True, "diversity": 0.0}}
    assert await names(sdk, store, query="bread", rewrite_query=True, extra_body=extras) == plain
    page = await sdk.vector_stores.search(store, query="bread", extra_body=extras)
    assert page.model_extra["weir"]["reranked"] is False
    assert "WEIR_RERANK_MODEL" in page.model_extra["weir"]["rerank_error"]
    diverse = await names(sdk, store, query="bread", extra_body={"weir": {"diversity": 1.0}})
    assert sorted(diverse) == sorted(plain)


async def test_when_the_reranker_fails_the_search_answers_in_its_own_order_and_says_so(
    sdk: openai.AsyncOpenAI, store: str
) -> None:
    plain = await sdk.vector_stores.search(store, query="bread")
    assert plain.model_extra["weir"] == {"reranked": False, "rerank_error": None}
    page = await sdk.vector_stores.search(
        store, query="bread", extra_body={"weir": {"rerank": "gone-reranker"}}
    )
    assert [result.filename for result in page.data] == [result.filename for result in plain.data]
    assert page.model_extra["weir"]["reranked"] is False
    assert page.model_extra["weir"]["rerank_error"] == "gone did not answer (unreachable); try again."
    with pytest.raises(openai.NotFoundError, match="no rerank model"):
        await sdk.vector_stores.search(store, query="bread", extra_body={"weir": {"rerank": "nobody"}})


async def test_a_key_reranks_with_the_models_that_it_allows(api: Api, member: Member, store: str) -> None:
    async with api.services.database.tenant(member.tenant_id) as connection:
        new = NewKey(tenant_id=member.tenant_id, name="bound", models=("use-multilingual-v3",))
        bound = await create_key(connection, new)
    async with openai.AsyncOpenAI(base_url=f"{api.url}/v1", api_key=bound.plaintext, max_retries=0) as sdk:
        extras = {"weir": {"rerank": "gone-reranker"}}
        with pytest.raises(openai.PermissionDeniedError, match="gone-reranker"):
            await sdk.vector_stores.search(store, query="bread", extra_body=extras)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"query": "a", "weir": {"diversity": 2}}, "weir.diversity"),
        ({"query": ""}, "query"),
        ({"query": []}, "query"),
        ({"query": 5}, "query"),
        ({"query": "a\x00"}, "query"),
        ({"query": "\ud800"}, "query"),
        ({"query": "x" * 8193}, "query"),
        ({"query": "a", "max_num_results": 51}, "max_num_results"),
        ({"query": "a", "ranking_options": {"score_threshold": 2}}, "ranking_options.score_threshold"),
        ({"query": "a", "filters": {"type": "like", "key": "a", "value": 1}}, "filters"),
        ({"query": "a", "filters": {"type": "eq", "key": "a", "value": "\ud800"}}, "filters"),
        ({"query": "a", "filters": {"type": "and", "filters": []}}, "filters"),
        ({"query": "a", "colour": "red"}, "colour"),
        ({}, "query"),
    ],
)
async def test_a_bad_search_is_named(sdk: openai.AsyncOpenAI, body: dict, param: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await sdk.post(
            "/vector_stores/vs_any/search",
            cast_to=object,
            content=json.dumps(body).encode(),
            options={"headers": {"content-type": "application/json"}},
        )
    assert caught.value.param.startswith(param)


async def test_a_filter_that_is_nested_without_end_is_refused(sdk: openai.AsyncOpenAI) -> None:
    deep = b'{"type":"and","filters":[' * 500
    body = b'{"query":"a","filters":' + deep + b'{"type":"eq","key":"a","value":1}' + b"]}" * 500 + b"}"
    with pytest.raises(openai.BadRequestError):
        await sdk.post(
            "/vector_stores/vs_any/search",
            cast_to=object,
            content=body,
            options={"headers": {"content-type": "application/json"}},
        )
