"""The components of the local stack are the real ones, and keep their data over a restart."""

import pytest
from openai import AsyncOpenAI, BadRequestError
from redis.asyncio import Redis

from local.components.models import CHAT_MODEL, EMBEDDING_MODEL
from shared.aws.objects import Objects
from shared.postgres.database import Database


async def test_the_login_role_is_bound_by_row_level_security(database: Database, tenant_id: str) -> None:
    async with database.tenant(tenant_id) as connection:
        role = await (
            await connection.execute(
                "SELECT rolsuper, rolbypassrls, pg_has_role('weir_app', 'member') AS member"
                " FROM pg_roles WHERE rolname = current_user"
            )
        ).fetchone()
        own = await (await connection.execute("SELECT tenant_id FROM tenants")).fetchall()
    assert role == {"rolsuper": False, "rolbypassrls": False, "member": True}
    assert own == [{"tenant_id": tenant_id}]


async def test_valkey_answers(valkey_url: str) -> None:
    async with Redis.from_url(valkey_url) as valkey:
        assert await valkey.set("greeting", "hello", ex=10)
        assert await valkey.get("greeting") == b"hello"


async def test_objects_come_back(objects: Objects) -> None:
    await objects.put("t/files/a.txt", b"hello", "text/plain")
    assert await objects.get("t/files/a.txt") == b"hello"


async def test_the_language_model_streams_with_usage(llm_url: str) -> None:
    async with AsyncOpenAI(base_url=llm_url, api_key="none") as openai:
        stream = await openai.chat.completions.create(
            model=CHAT_MODEL,
            messages=[{"role": "user", "content": "Say hello."}],
            max_tokens=8,
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in stream]
    assert {chunk.model for chunk in chunks} == {CHAT_MODEL}
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens > 0


async def test_embeddings_join_english_and_chinese(embedding_url: str) -> None:
    texts = ["Where is the library?", "图书馆在哪里？", "The soup is too salty."]
    async with AsyncOpenAI(base_url=embedding_url, api_key="none") as openai:
        # The SDK asks for base64 unless told otherwise.
        encoded = await openai.embeddings.create(model=EMBEDDING_MODEL, input=texts)
        plain = await openai.embeddings.create(model=EMBEDDING_MODEL, input=texts, encoding_format="float")
    library, chinese, soup = (item.embedding for item in encoded.data)
    for item, vector in zip(plain.data, (library, chinese, soup), strict=True):
        assert item.embedding == pytest.approx(vector)
    assert len(library) == 512
    assert _cosine(library, chinese) > 0.5 > _cosine(library, soup)


async def test_an_unknown_embedding_model_is_refused(embedding_url: str) -> None:
    async with AsyncOpenAI(base_url=embedding_url, api_key="none", max_retries=0) as openai:
        with pytest.raises(BadRequestError, match="use-multilingual-v3"):
            await openai.embeddings.create(model="another", input="x")


def _cosine(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))
