"""Chat, embeddings and models by the unmodified OpenAI SDK, over real Valkey, PostgreSQL, SQS and models."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import openai
import pytest
import uvicorn

from chat.app import create_app
from chat.settings import ChatSettings
from local.process import free_port
from shared.aws.clients import call, client
from shared.completion.opening import open_completion
from shared.errors import AuthenticationError
from shared.ledger.usage import UsageBatch, UsageRecord
from shared.limits.keyring import KeyRing
from shared.limits.keys import NewKey, create_key, revoke_key
from shared.limits.limits import Limits
from shared.telemetry import logger
from shared.valkey.client import Valkey

pytestmark = pytest.mark.usefixtures("aws")

CATALOG = """
[[providers]]
name = "local"
base_url = "{llm}"
secret = "none"
[[providers.models]]
kind = "chat"
name = "smollm2-135m-instruct"
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

MODEL = "smollm2-135m-instruct"
HELLO = [{"role": "user", "content": "Say hello."}]


@asynccontextmanager
async def serving(settings: ChatSettings) -> AsyncIterator[str]:
    """The chat application on a free port, on this event loop."""
    app = create_app(
        lambda: open_completion(settings, lambda: datetime.now(UTC), logger("chat")),
        max_body_bytes=settings.max_body_bytes,
        log=logger("chat"),
    )
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_config=None, ws="none"))
    task = asyncio.create_task(server.serve())
    while not server.started:
        assert not task.done(), task.exception()
        await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{port}/v1"
    server.should_exit = True
    await task


@pytest.fixture
async def settings(llm_url, embedding_url, database_url, valkey_url, queues, tmp_path, monkeypatch):
    catalog = tmp_path / "catalog.toml"
    catalog.write_text(CATALOG.format(llm=llm_url, embeddings=embedding_url))
    monkeypatch.setenv("TEST_DATABASE_URL", database_url)
    return ChatSettings(
        database_secret="env:TEST_DATABASE_URL",
        valkey_url=valkey_url,
        # A busy machine must not pass for a slow Valkey.
        valkey_timeout_ms=2000,
        usage_queue_url=queues.usage,
        catalog=str(catalog),
        provider_secrets="env:NO_SUCH_{PROVIDER}",
        embedding_model="use-multilingual-v3",
        max_body_bytes=100_000,
    )


@pytest.fixture
async def url(settings) -> AsyncIterator[str]:
    async with serving(settings) as running:
        yield running


@pytest.fixture
def new_client(url, database, tenant_id):
    """Makes an SDK client with a new key."""

    async def make(models=None, **limits) -> openai.AsyncOpenAI:
        async with database.tenant(tenant_id) as connection:
            issued = await create_key(
                connection, NewKey(tenant_id=tenant_id, name="test", models=models, limits=Limits(**limits))
            )
        return openai.AsyncOpenAI(base_url=url, api_key=issued.plaintext, max_retries=0)

    return make


@pytest.fixture
async def sdk(new_client) -> AsyncIterator[openai.AsyncOpenAI]:
    async with await new_client() as made:
        yield made


async def records(queue_url: str) -> list[UsageRecord]:
    answer = await call(
        client("sqs").receive_message, QueueUrl=queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=5
    )
    batches = [UsageBatch.model_validate_json(m["Body"]) for m in answer.get("Messages", [])]
    return [record for batch in batches for record in batch.records]


async def test_models_are_those_that_are_served(sdk) -> None:
    listed = [model.id async for model in sdk.models.list()]

    assert listed == [MODEL, "use-multilingual-v3"]
    assert (await sdk.models.retrieve(MODEL)).owned_by == "local"


async def test_a_question_is_looked_up_by_meaning_where_that_is_asked_for(sdk, queues) -> None:
    body = {"weir": {"cache": {"mode": "semantic", "error_bound": 0.05}}}
    raw = await sdk.chat.completions.with_raw_response.create(
        model=MODEL, messages=HELLO, max_tokens=8, extra_body=body
    )

    assert raw.headers["x-weir-cache"] == "miss"
    found: list[UsageRecord] = []
    while len(found) < 2:
        found += await records(queues.usage)
    assert {record.endpoint for record in found} == {
        "/v1/chat/completions",
        "/v1/chat/completions#semantic_cache",
    }


async def test_a_buffered_chat_is_answered_and_billed(sdk, queues) -> None:
    raw = await sdk.chat.completions.with_raw_response.create(model=MODEL, messages=HELLO, max_tokens=8)
    answer = raw.parse()

    assert answer.choices[0].message.content
    assert raw.headers["x-weir-provider"] == "local"
    [record] = await records(queues.usage)
    assert record.request_id == raw.headers["x-request-id"]
    assert record.completion_tokens == answer.usage.completion_tokens
    assert record.cost_microdollars == record.prompt_tokens + 2 * record.completion_tokens


async def test_a_stream_comes_in_pieces_and_ends_with_usage_when_asked(sdk) -> None:
    stream = await sdk.chat.completions.create(
        model=MODEL, messages=HELLO, max_tokens=8, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]

    assert len([c for c in chunks if c.choices and c.choices[0].delta.content]) > 1
    assert chunks[-1].usage.completion_tokens > 1


async def test_a_caller_who_leaves_is_billed_for_what_was_said(sdk, queues) -> None:
    stream = await sdk.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "Tell a long story."}],
        max_tokens=2000,
        stream=True,
    )
    async for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            break
    await stream.close()

    [record] = await records(queues.usage)
    assert (record.outcome, record.estimated) == ("cancelled", True)
    assert 0 < record.completion_tokens < 2000


async def test_a_caller_who_leaves_a_whole_answer_is_billed_for_the_prompt(sdk, queues) -> None:
    messages = [{"role": "user", "content": "Tell me a long story about a river and its weirs."}]
    with pytest.raises(openai.APITimeoutError):
        await sdk.with_options(timeout=0.3, max_retries=0).chat.completions.create(
            model=MODEL, messages=messages, max_tokens=400
        )
    [record] = await records(queues.usage)
    assert record.outcome == "cancelled"
    assert record.prompt_tokens > 0
    assert record.completion_tokens == 0


async def test_embeddings_are_the_models(sdk, queues) -> None:
    answer = await sdk.embeddings.create(model="use-multilingual-v3", input=["a weir", "堰"])

    assert [len(item.embedding) for item in answer.data] == [512, 512]
    [record] = await records(queues.usage)
    assert (record.endpoint, record.completion_tokens) == ("/v1/embeddings", 0)


@pytest.mark.parametrize(
    ("error", "request_fields"),
    [
        (openai.NotFoundError, {"model": "no-such-model"}),
        (openai.BadRequestError, {"messages": []}),
        (openai.BadRequestError, {"response_format": {"type": "json_object"}}),
        (openai.APIStatusError, {"messages": [{"role": "user", "content": "x" * 200_000}]}),
    ],
)
async def test_errors_are_the_sdks_own(sdk, error, request_fields) -> None:
    with pytest.raises(error) as caught:
        await sdk.chat.completions.create(**{"model": MODEL, "messages": HELLO, **request_fields})

    assert caught.value.status_code in (400, 404, 413)
    assert caught.value.body["message"]
    assert caught.value.request_id.startswith("req_")


@pytest.mark.parametrize("key", ["sk-weir-wrong", "x"])
async def test_a_wrong_key_is_refused(url, key) -> None:
    async with openai.AsyncOpenAI(base_url=url, api_key=key, max_retries=0) as stranger:
        with pytest.raises(openai.AuthenticationError):
            await stranger.models.list()


async def test_a_key_uses_its_models_only(new_client) -> None:
    async with await new_client(models=("use-multilingual-v3",)) as limited:
        with pytest.raises(openai.PermissionDeniedError):
            await limited.chat.completions.create(model=MODEL, messages=HELLO)
        assert [model.id async for model in limited.models.list()] == ["use-multilingual-v3"]


async def test_requests_over_the_keys_limit_are_told_when_to_come_back(new_client) -> None:
    async with await new_client(requests_per_minute=2) as limited:
        for left in ("1", "0"):
            raw = await limited.embeddings.with_raw_response.create(model="use-multilingual-v3", input="x")
            assert raw.headers["x-ratelimit-remaining-requests"] == left
        with pytest.raises(openai.RateLimitError) as caught:
            await limited.embeddings.create(model="use-multilingual-v3", input="x")

    assert caught.value.code == "requests"
    assert 1 <= int(caught.value.response.headers["retry-after"]) <= 30


async def test_tokens_are_corrected_to_what_was_used(new_client) -> None:
    async with await new_client(tokens_per_minute=10_000) as limited:
        # Estimated with its limit of completion tokens; a short answer gives the rest back.
        await limited.chat.completions.create(
            model=MODEL, messages=HELLO, max_completion_tokens=5000, extra_body={"n_predict": 4}
        )
        raw = await limited.embeddings.with_raw_response.create(model="use-multilingual-v3", input="x")

    assert int(raw.headers["x-ratelimit-remaining-tokens"]) > 9_000


async def test_a_revoked_or_expired_key_ends(database, tenant_id, valkey_url) -> None:
    now = datetime.now(UTC)
    valkey = Valkey(valkey_url, cluster=False, timeout_ms=2000)
    ring = KeyRing(database, valkey)
    async with database.tenant(tenant_id) as connection:
        revoked = await create_key(connection, NewKey(tenant_id=tenant_id, name="a"))
        expiring = await create_key(
            connection, NewKey(tenant_id=tenant_id, name="b", expires_at=now + timedelta(hours=1))
        )
    for issued in (revoked, expiring):
        assert (await ring.authenticate(f"Bearer {issued.plaintext}", now)).tenant_id == tenant_id

    async with database.tenant(tenant_id) as connection:
        hashed = await revoke_key(connection, revoked.record.key_id, now)
    await ring.forget(hashed)

    with pytest.raises(AuthenticationError):
        await ring.authenticate(f"Bearer {revoked.plaintext}", now)
    with pytest.raises(AuthenticationError):
        await ring.authenticate(f"Bearer {expiring.plaintext}", now + timedelta(hours=2))
    await valkey.close()


async def test_chat_goes_on_without_valkey(settings, new_client) -> None:
    without_valkey = settings.model_copy(update={"valkey_url": "redis://127.0.0.1:1"})
    key = (await new_client(requests_per_minute=1)).api_key
    async with serving(without_valkey) as url, openai.AsyncOpenAI(base_url=url, api_key=key) as sdk:
        for _ in range(3):
            answer = await sdk.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=2)
            assert answer.choices


async def test_chat_goes_on_without_postgres_and_bills(settings, sdk, queues, monkeypatch) -> None:
    await sdk.models.list()  # The key is in Valkey now.
    monkeypatch.setenv("DEAD_DATABASE_URL", "postgresql://127.0.0.1:1/none")
    without_postgres = settings.model_copy(update={"database_secret": "env:DEAD_DATABASE_URL"})

    async with (
        serving(without_postgres) as url,
        openai.AsyncOpenAI(base_url=url, api_key=sdk.api_key) as other,
    ):
        await other.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=2)

    assert len(await records(queues.usage)) == 1


async def test_a_stranger_without_postgres_hears_that_it_is_our_fault(settings, monkeypatch) -> None:
    monkeypatch.setenv("DEAD_DATABASE_URL", "postgresql://127.0.0.1:1/none")
    without_postgres = settings.model_copy(update={"database_secret": "env:DEAD_DATABASE_URL"})

    async with (
        serving(without_postgres) as url,
        openai.AsyncOpenAI(base_url=url, api_key="sk-weir-unknown", max_retries=0) as stranger,
    ):
        with pytest.raises(openai.InternalServerError) as caught:
            await stranger.models.list()

    assert caught.value.status_code == 503
