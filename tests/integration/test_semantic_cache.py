"""The semantic cache on real PostgreSQL, with the real embedding model."""

import json
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from pgvector import HalfVector
from psycopg import AsyncConnection

from local.components.models import EMBEDDING_MODEL
from local.components.postgres import PostgresUrls
from shared.cache.entry import Entry
from shared.cache.semantic import Explore, SemanticCache, Serve
from shared.cache.semantic_confidence import REMEMBERED
from shared.cache.semantic_question import Question, question_of
from shared.cache.semantic_store import EXACT_BELOW, delete_expired, find_nearest
from shared.errors import UnavailableError
from shared.postgres.database import Database

NOW = datetime(2026, 5, 1, tzinfo=UTC)
SERVING, CHECKING = (lambda: 1.0), (lambda: 0.0)
HOUR = 3600


class Embedder:
    """The local embedding model, over HTTP; counts its calls."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.calls = 0

    async def __call__(self, texts: Sequence[str]) -> list[list[float]]:
        self.calls += 1
        body = {"model": EMBEDDING_MODEL, "input": list(texts)}
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self._url}/embeddings", json=body) as answer,
        ):
            answer.raise_for_status()
            return [item["embedding"] for item in (await answer.json())["data"]]


@pytest.fixture
def embed(embedding_url: str) -> Embedder:
    return Embedder(embedding_url)


def ask(tenant_id: str, text: str, *earlier: dict[str, Any], **fields: Any) -> Question:
    messages = [*earlier, {"role": "user", "content": text}]
    made = question_of({"messages": messages, **fields}, tenant_id=tenant_id, model="m")
    assert made is not None
    return made


def answer(text: str, **message: Any) -> Entry:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text, **message},
        "finish_reason": "stop",
    }
    return Entry(
        completion=json.dumps({"choices": [choice]}).encode(), provider="p", model="m", stored_at=NOW
    )


async def learned(
    cache: SemanticCache, embed: Embedder, question: Question, entry: Entry, ttl: int = HOUR
) -> Explore:
    """Ask, and let the model answer."""
    found = await cache.recall(embed, question, now=NOW)
    assert isinstance(found, Explore)
    await cache.learn(embed, found, entry, ttl_seconds=ttl, now=NOW)
    return found


def cache_of(database: Database, draw: Any = SERVING) -> SemanticCache:
    return SemanticCache(database, EMBEDDING_MODEL, draw=draw)


async def test_the_same_question_in_other_words_is_served(
    database: Database, tenant_id: str, embed: Embedder
) -> None:
    cache, entry = cache_of(database), answer("Under Billing, press Cancel.")
    await learned(cache, embed, ask(tenant_id, "How do I cancel my subscription?"), entry)
    found = await cache.recall(embed, ask(tenant_id, "hi, how can I cancel my subscription please"), now=NOW)
    assert isinstance(found, Serve)
    assert found.entry == entry
    assert 0.5 < found.similarity <= 1
    assert found.chance >= 0.98


async def test_a_question_that_only_looks_alike_is_not(
    database: Database, tenant_id: str, embed: Embedder
) -> None:
    cache = cache_of(database)
    await learned(cache, embed, ask(tenant_id, "Where is order 48213?"), answer("In Lyon."))
    found = await cache.recall(embed, ask(tenant_id, "Where is order 48231?"), now=NOW)
    assert isinstance(found, Explore)
    assert found.candidate is None


async def test_tenants_settings_and_conversations_are_apart(
    database: Database, tenant_id: str, embed: Embedder
) -> None:
    cache, text = cache_of(database), "How do I cancel my subscription?"
    await learned(cache, embed, ask(tenant_id, text), answer("Under Billing."))
    others = [
        ask(f"{tenant_id}_other", text),
        ask(tenant_id, text, temperature=0.5),
        ask(tenant_id, text, {"role": "system", "content": "Speak like a pirate."}),
        ask(
            tenant_id,
            text,
            {"role": "user", "content": "About my gym"},
            {"role": "assistant", "content": "Yes?"},
        ),
    ]
    for question in others:
        found = await cache.recall(embed, question, now=NOW)
        assert isinstance(found, Explore)
        assert found.candidate is None
    other_model = SemanticCache(database, "another", draw=SERVING)
    assert isinstance(await other_model.recall(embed, ask(tenant_id, text), now=NOW), Explore)


async def test_row_level_security_holds_without_the_tenant_in_the_query(
    database: Database, tenant_id: str, embed: Embedder
) -> None:
    await learned(cache_of(database), embed, ask(tenant_id, "What is a weir?"), answer("A low dam."))
    async with database.tenant(f"{tenant_id}_other") as connection:
        for table in ("semantic_entries", "semantic_embeddings_512", "semantic_tallies"):
            cursor = await connection.execute(f"SELECT * FROM {table} WHERE tenant_id = %s", (tenant_id,))
            assert await cursor.fetchall() == []


async def test_conversations_are_told_apart_by_what_was_said_before(
    database: Database, tenant_id: str, embed: Embedder
) -> None:
    def talk(subject: str) -> tuple[dict[str, Any], ...]:
        return (
            {"role": "user", "content": f"Can I freeze my {subject}?"},
            {"role": "assistant", "content": "Yes, you can."},
        )

    cache = cache_of(database)
    await learned(
        cache, embed, ask(tenant_id, "How long does it take?", *talk("gym membership")), answer("A day.")
    )
    other = await cache.recall(embed, ask(tenant_id, "How long does it take?", *talk("bank card")), now=NOW)
    assert isinstance(other, Explore)
    same = ask(tenant_id, "how long does it take", *talk("gym membership"))
    assert isinstance(await cache.recall(embed, same, now=NOW), Serve)


async def test_an_entry_expires_and_is_deleted(database: Database, tenant_id: str, embed: Embedder) -> None:
    cache, question = cache_of(database), ask(tenant_id, "How do I cancel my subscription?")
    await learned(cache, embed, question, answer("Under Billing."), ttl=60)
    later = NOW + timedelta(seconds=61)
    assert isinstance(await cache.recall(embed, question, now=NOW), Serve)
    assert isinstance(await cache.recall(embed, question, now=later), Explore)
    assert await delete_expired(database, tenant_id, now=NOW, limit=10) == 0
    assert await delete_expired(database, tenant_id, now=later, limit=10) == 1
    async with database.tenant(tenant_id) as connection:
        cursor = await connection.execute("SELECT count(*) AS n FROM semantic_embeddings_512")
        assert await cursor.fetchone() == {"n": 0}


async def test_an_answer_that_changed_is_no_longer_served_and_then_replaced(
    database: Database, tenant_id: str, embed: Embedder
) -> None:
    serving, checking = cache_of(database), cache_of(database, CHECKING)
    question = ask(tenant_id, "What is the price of a day ticket?")
    await learned(serving, embed, question, answer("It is 10 euros."))
    assert isinstance(await serving.recall(embed, question, now=NOW), Serve)
    explored = await learned(checking, embed, question, answer("It is 12 euros."))
    assert explored.candidate is not None
    found = await serving.recall(embed, question, now=NOW)
    assert isinstance(found, Explore)
    assert found.candidate is not None
    assert found.candidate.stored.entry == answer("It is 12 euros.")
    assert [use.right for use in found.candidate.stored.uses] == [False]


async def test_rewordings_are_served_once_they_proved_right(
    database: Database, tenant_id: str, embed: Embedder
) -> None:
    serving, checking = cache_of(database), cache_of(database, CHECKING)
    stored, new = "How do I silence the doorbell?", "How do I stop the doorbell ringing?"
    for number in range(80):
        system = {"role": "system", "content": f"House {number}."}
        await learned(checking, embed, ask(tenant_id, stored, system), answer("Hold the button."))
        await learned(checking, embed, ask(tenant_id, new, system), answer("hold the button"))
    last = {"role": "system", "content": "The last house."}
    await learned(checking, embed, ask(tenant_id, stored, last), answer("Hold the button."))
    assert isinstance(
        await serving.recall(embed, ask(tenant_id, new, last), error_bound=0.05, now=NOW), Serve
    )


async def test_judged_uses_are_bounded(database: Database, tenant_id: str, embed: Embedder) -> None:
    checking = cache_of(database, CHECKING)
    question = ask(tenant_id, "What is a weir?")
    for _ in range(REMEMBERED + 3):
        await learned(checking, embed, question, answer("A low dam."))
    async with database.tenant(tenant_id) as connection:
        cursor = await connection.execute("SELECT judged_scores, judged_right FROM semantic_entries")
        (row,) = await cursor.fetchall()
        assert len(row["judged_scores"]) == len(row["judged_right"]) == REMEMBERED
        cursor = await connection.execute("SELECT right_uses, wrong_uses FROM semantic_tallies")
        (row,) = await cursor.fetchall()
        assert row["right_uses"] == [0, 0, 0, 0, 0, 0, 0, 0, REMEMBERED + 2]
        assert sum(row["wrong_uses"]) == 0


async def test_acts_are_never_stored(database: Database, tenant_id: str, embed: Embedder) -> None:
    cache, question = cache_of(database), ask(tenant_id, "Cancel my subscription")
    await learned(cache, embed, question, answer("Done.", tool_calls=[{"id": "c"}]))
    found = await cache.recall(embed, question, now=NOW)
    assert isinstance(found, Explore)
    assert found.candidate is None


async def test_with_postgresql_gone_it_misses_and_then_rests(embed: Embedder) -> None:
    gone = Database("postgresql://nobody@127.0.0.1:1/none", pool_size=1, connect_timeout=0.1)
    await gone.open()
    try:
        cache, question = cache_of(gone), ask("t", "What is a weir?")
        first = await cache.recall(embed, question, now=NOW)
        assert first == Explore(question=question)
        await cache.recall(embed, question, now=NOW + timedelta(seconds=1))
        assert embed.calls == 1
        await cache.learn(embed, first, answer("A dam."), ttl_seconds=HOUR, now=NOW)
        await cache.recall(embed, question, now=NOW + timedelta(seconds=6))
        assert embed.calls == 2
    finally:
        await gone.close()


async def test_with_the_embedding_model_gone_it_misses(database: Database, tenant_id: str) -> None:
    async def fails(texts: Sequence[str]) -> list[list[float]]:
        raise UnavailableError("No embedding model.")

    question = ask(tenant_id, "What is a weir?")
    assert await cache_of(database).recall(fails, question, now=NOW) == Explore(question=question)


async def test_a_large_scope_is_searched_by_the_index(
    database: Database, tenant_id: str, postgres_urls: PostgresUrls
) -> None:
    rng = random.Random(3)
    vectors = [[rng.gauss(0, 1) for _ in range(256)] for _ in range(EXACT_BELOW)]
    until = NOW + timedelta(hours=1)
    async with database.tenant(tenant_id) as connection:
        await connection.execute(
            """
            INSERT INTO semantic_entries (tenant_id, entry_id, scope, turns, completion, provider, model,
                                          stored_at, expires_at)
            SELECT %s, n::text, 'scope', '[["user", "What?"]]', '{}', 'p', 'm', %s, %s
            FROM generate_series(0, %s) n
            """,
            (tenant_id, NOW, until, EXACT_BELOW - 1),
        )
        await connection.cursor().executemany(
            "INSERT INTO semantic_embeddings_256 (tenant_id, entry_id, scope, embedding)"
            " VALUES (%s, %s, 'scope', %b)",
            [(tenant_id, str(n), HalfVector(values)) for n, values in enumerate(vectors)],
        )
    async with await AsyncConnection.connect(postgres_urls.owner, autocommit=True) as owner:
        # What autovacuum does within a minute.
        await owner.execute("ANALYZE semantic_embeddings_256")
    async with database.tenant(tenant_id) as connection:
        before = await _index_scans(connection)
        found = await find_nearest(connection, tenant_id, "scope", vectors[7], now=NOW)
        assert found[0].entry_id == "7"
        assert found[0].similarity == pytest.approx(1, abs=1e-3)
        assert await _index_scans(connection) == before + 1
        await find_nearest(connection, tenant_id, "another", vectors[7], now=NOW)
        assert await _index_scans(connection) == before + 1


async def _index_scans(connection: Any) -> int:
    """Scans of the HNSW index, those of this transaction included."""
    cursor = await connection.execute(
        "SELECT pg_stat_get_xact_numscans(i.oid) AS scans"
        " FROM pg_class i WHERE i.relname = 'semantic_embeddings_256_cosine'"
    )
    row = await cursor.fetchone()
    return int(row["scans"])
