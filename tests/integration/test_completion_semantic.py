"""Answers by meaning through the whole pipeline: real PostgreSQL, Valkey and embedding model."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

import shared.completion.semantic
from local.components.models import EMBEDDING_MODEL
from shared.cache.flights import Flights
from shared.cache.semantic import SemanticCache
from shared.completion.answer import Answer, BufferedAnswer
from shared.completion.assemble import Assembler, as_chunks
from shared.completion.background import Background
from shared.completion.pipeline import complete
from shared.completion.services import Services
from shared.ledger.records import record_usage
from shared.ledger.report import usage_by_day
from shared.ledger.usage import UsageRecord
from shared.limits.caller import Caller
from shared.limits.limiter import Limiter
from shared.limits.limits import CachePolicy, Limits
from shared.limits.periods import periods_of
from shared.limits.scopes import Scope, scope_keys
from shared.postgres.database import Database
from shared.providers.catalog import Catalog, Models
from shared.providers.load import load_credentials
from shared.routing.router import Router
from shared.valkey.client import Valkey
from tests.contract.bench import CATALOG, NOON, Bench
from tests.contract.upstream import Reply, StreamReply, as_events, running_upstream
from tests.integration.knowledge_world import World

# Both kinds of Valkey are held to the same answers in `test_cache_flights`.
pytestmark = pytest.mark.parametrize("valkey", ["plain"], indirect=True)

EMBEDDINGS = """
[[providers]]
name = "embeddings"
base_url = "{url}"
secret = "none"
[[providers.models]]
kind = "embedding"
name = "use-multilingual-v3"
context_window = 512
dimensions = 512
price = {{ input = "1", output = "0" }}
"""

ASKED, REWORDED = "How do I cancel my subscription?", "hi, how can I cancel my subscription please"
ANSWER = "Under Billing, press Cancel."
STREAM = {"stream": True, "stream_options": {"include_usage": True}}


def semantic(**options: Any) -> dict[str, Any]:
    return {"weir": {"cache": {"mode": "semantic", **options}}}


def completion(text: str, **message: Any) -> dict[str, Any]:
    said = {"role": "assistant", "content": text, **message}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "upstream-model",
        "choices": [{"index": 0, "message": said, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    }


def reply(text: str, form: dict[str, Any]) -> Reply | StreamReply:
    whole = completion(text)
    return StreamReply([as_events(list(as_chunks(whole)))]) if form else Reply(whole)


@dataclass(frozen=True)
class Asker:
    """One tenant's questions, and what they left."""

    bench: Bench
    services: Services
    tenant_id: str
    call: Any

    async def ask(self, text: str, *, caller: dict[str, Any] | None = None, **fields: Any) -> Answer:
        named = {"tenant_id": self.tenant_id, "key_id": "key", "role": "member", **(caller or {})}
        body = {"messages": [{"role": "user", "content": text}], **semantic(), **fields}
        made = replace(self.call(**body), request_id=f"req_{uuid.uuid4().hex}", caller=Caller(**named))
        return await complete(self.services, made)

    async def way(self, text: str, **fields: Any) -> str | None:
        """Ask, and say how it was answered: `x-weir-cache`."""
        answer = await self.ask(text, **fields)
        await said(answer)
        return answer.headers.get("x-weir-cache")

    @property
    def asked(self) -> int:
        """How often the model was asked."""
        return len(self.bench.first.requests)

    @property
    def records(self) -> list[UsageRecord]:
        """What the questions cost."""
        return [record for record in self.bench.records if record.endpoint == "/v1/chat/completions"]

    @property
    def embedded(self) -> list[UsageRecord]:
        """What their vectors cost."""
        return [record for record in self.bench.records if record.endpoint.endswith("#semantic_cache")]

    def having(self, **changed: Any) -> "Asker":
        return replace(self, services=serving(replace(self.services, **changed)))


async def said(answer: Answer) -> str:
    """What the answer says, however it is given."""
    if isinstance(answer, BufferedAnswer):
        whole = json.loads(answer.content)
    else:
        events = b"".join([piece async for piece in answer.events])
        lines = [line[6:] for line in events.split(b"\n") if line.startswith(b"data: ")]
        assert lines.pop() == b"[DONE]"
        assembler = Assembler()
        for line in lines:
            assembler.read(json.loads(line))
        whole = assembler.whole()
    assert whole["usage"]["total_tokens"] == 15
    return str(whole["choices"][0]["message"]["content"])


def serving(services: Services) -> Services:
    """Have what could be served be served, rather than checked now and then."""
    cache = SemanticCache(services.database, services.embedding_model, draw=lambda: 1.0)
    vars(services)["semantic_cache"] = cache
    return services


@asynccontextmanager
async def embedding_at(services: Services, bench: Bench, url: str) -> AsyncIterator[Services]:
    """With an embedding model at this address."""
    text = CATALOG.format(first=bench.first.url, second=bench.second.url) + EMBEDDINGS.format(url=url)
    catalog = Catalog.from_toml(text)
    router = Router(await load_credentials(catalog, "env:{PROVIDER}"))
    yield replace(services, models=Models(catalog), router=router, embedding_model=EMBEDDING_MODEL)
    await router.close()


@pytest.fixture
async def asker(
    bench: Bench, call: Any, valkey: Valkey, database: Database, tenant_id: str, embedding_url: str
) -> AsyncIterator[Asker]:
    background = Background(freezes=True)
    services = replace(
        bench.services,
        flights=Flights(valkey),
        limiter=Limiter(valkey, database),
        database=database,
        background=background,
    )
    async with embedding_at(services, bench, embedding_url) as embedding:
        yield Asker(bench, serving(embedding), tenant_id, call)
    await background.close()


@pytest.mark.parametrize("form", [{}, STREAM], ids=["whole", "streamed"])
@pytest.mark.parametrize("learned", [{}, STREAM], ids=["from-whole", "from-stream"])
async def test_a_question_in_other_words_is_served_once_an_answer_is_learned(asker, form, learned) -> None:
    asker.bench.first.replies = [reply(ANSWER, learned)]

    first = await asker.ask(ASKED, **learned)
    assert (await said(first), first.headers["x-weir-cache"]) == (ANSWER, "miss")
    again = await asker.ask(REWORDED, **form)

    assert (await said(again), again.headers["x-weir-cache"]) == (ANSWER, "semantic")
    assert again.headers["x-weir-provider"] == "first"
    assert asker.asked == 1
    miss, hit = asker.records
    assert (hit.cache_outcome, hit.cost_microdollars, hit.legs) == ("semantic", 0, ())
    assert hit.saved_microdollars == miss.cost_microdollars > 0
    assert hit.completion_tokens == 5


async def test_vectors_are_paid_by_who_asks(asker) -> None:
    asker.bench.first.replies = [Reply(completion(ANSWER))]
    await asker.way(ASKED)
    await asker.way(REWORDED)

    assert [record.cost_microdollars > 0 for record in asker.embedded] == [True, True]
    assert {(r.tenant_id, r.key_id, r.model) for r in asker.embedded} == {
        (asker.tenant_id, "key", EMBEDDING_MODEL)
    }


async def test_vectors_count_against_the_budget(asker, valkey) -> None:
    asker.bench.first.replies = [Reply(completion(ANSWER))]
    limits = {"limits": Limits(budget_per_month=10**6)}
    await asker.way(ASKED, caller=limits)
    await asker.way(REWORDED, caller=limits)

    periods = periods_of(NOON)
    scope = Scope("key", "key", limits["limits"])
    month = scope_keys(asker.tenant_id, scope, periods.day, periods.month)[3]
    spent = await valkey.attempt(lambda client: client.get(month))
    assert int(spent) == sum(r.cost_microdollars for r in [*asker.records, *asker.embedded])


async def test_usage_reports_answers_by_meaning(asker, database) -> None:
    asker.bench.first.replies = [Reply(completion(ANSWER))]
    await asker.way(ASKED)
    await asker.way(REWORDED)

    async with database.tenant(asker.tenant_id) as connection:
        await record_usage(connection, *asker.records)
        until = NOON + timedelta(days=1)
        rows = await usage_by_day(connection, since=NOON, until=until, group_by={"cache_outcome"})
    found = {row.cache_outcome: row for row in rows}
    assert (found["semantic"].requests, found["semantic"].cache_hits) == (1, 1)
    assert found["semantic"].saved_microdollars == found["miss"].cost_microdollars


async def test_the_exact_cache_is_asked_first(asker) -> None:
    asker.bench.first.replies = [Reply(completion(ANSWER))]

    assert [await asker.way(ASKED), await asker.way(ASKED)] == ["miss", "hit"]
    assert len(asker.embedded) == 1


async def test_an_answer_by_meaning_is_none_for_who_asks_for_exact_ones(asker) -> None:
    asker.bench.first.replies = [Reply(completion(ANSWER))]
    await asker.way(ASKED)
    assert await asker.way(REWORDED) == "semantic"

    assert await asker.way(REWORDED, weir={"cache": {"mode": "exact"}}) == "miss"
    assert len(asker.embedded) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"caller": {"tenant_id": "another"}},
        {"temperature": 0.5},
        {"response_format": {"type": "json_object"}},
        {"tools": [{"type": "function", "function": {"name": "cancel", "parameters": {}}}]},
        semantic(error_bound=0.001),
        {"weir": {"cache": {"mode": "off"}}},
    ],
    ids=["tenant", "parameter", "format", "tools", "bound", "off"],
)
async def test_what_must_be_equal_is_equal(asker, change) -> None:
    asker.bench.first.replies = [Reply(completion(ANSWER))]
    await asker.way(ASKED)
    if "caller" in change:
        change = {"caller": {"tenant_id": f"{asker.tenant_id}_other"}}

    assert await asker.way(REWORDED, **change) != "semantic"
    assert asker.asked == 2


async def test_the_key_says_so_for_its_requests(asker) -> None:
    asker.bench.first.replies = [Reply(completion(ANSWER))]
    key = {"caller": {"cache": CachePolicy(mode="semantic")}, "weir": {}}

    assert [await asker.way(ASKED, **key), await asker.way(REWORDED, **key)] == ["miss", "semantic"]
    assert await asker.way(f"{REWORDED}!", **{**key, "weir": {"cache": {"mode": "exact"}}}) == "miss"


async def test_acts_and_answers_cut_short_teach_nothing(asker) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "cancel", "arguments": "{}"}}
    cut = json.loads(json.dumps(completion(ANSWER)).replace('"stop"', '"length"'))
    asker.bench.first.replies = [
        Reply(completion("", tool_calls=[call])),
        Reply(cut),
        Reply(completion(ANSWER)),
    ]
    assert await asker.way(ASKED) == "miss"
    assert await asker.way(REWORDED) == "miss"
    assert await asker.way(f"{REWORDED}!") == "miss"


async def test_identical_questions_at_once_are_one_upstream_call(asker) -> None:
    hold = asyncio.Event()
    asker.bench.first.replies = [Reply(completion(ANSWER), hold=hold)]
    asking = [asyncio.create_task(asker.way(ASKED)) for _ in range(10)]
    async with asyncio.timeout(10):
        await asker.bench.first.asked.wait()
    hold.set()

    # Who was still waiting for its vector when the answer was there finds it stored by now.
    assert (await asyncio.gather(*asking)).count("miss") == 1
    assert asker.asked == 1


@pytest.fixture
def sources(database: Database, tenant_id: str) -> World:
    return World(database, tenant_id)


async def test_sources_have_to_be_the_same(asker, sources) -> None:
    store, file = await sources.new_store(), await sources.new_file("help.md")
    await sources.attach(store, file)
    await sources.index(store, file, "Subscriptions are cancelled under Billing.")
    fields = semantic() | {}
    fields["weir"]["knowledge"] = {"vector_store_ids": [store]}
    asker.bench.first.replies = [Reply(completion(ANSWER))]

    assert [await asker.way(ASKED, **fields), await asker.way(REWORDED, **fields)] == ["miss", "semantic"]
    await sources.index(store, file, "Subscriptions are cancelled by letter to Billing.")
    assert await asker.way(REWORDED, **fields) == "miss"


@pytest.mark.parametrize("form", [{}, STREAM], ids=["whole", "streamed"])
@pytest.mark.parametrize("fault", ["refuses", "hangs", "babbles"])
async def test_without_vectors_it_is_a_miss(asker, form, fault, monkeypatch, caplog) -> None:
    monkeypatch.setattr(shared.completion.semantic, "_EMBEDDING_SECONDS", 0.2)
    asker.bench.first.replies = [reply(ANSWER, form)]
    faults = {
        "refuses": Reply({"error": {"message": "no"}}, status=400),
        "hangs": Reply({}, hold=asyncio.Event()),
        "babbles": Reply({"data": [{"embedding": None}]}),
    }
    async with running_upstream() as broken:
        broken.replies = [faults[fault]]
        async with embedding_at(asker.services, asker.bench, broken.url) as services:
            asker = replace(asker, services=serving(services))
            answer = await asyncio.wait_for(asker.ask(ASKED, **form), 10)
            assert (await said(answer), answer.headers["x-weir-cache"]) == (ANSWER, "miss")
            assert await asker.way(ASKED, **form) == "hit"
    assert "going on without the semantic cache" in caplog.text


async def test_a_model_that_is_not_there_is_a_miss(asker) -> None:
    asker.bench.first.replies = [Reply(completion(ANSWER))]
    asker = asker.having(embedding_model="no-such-model")

    assert [await asker.way(ASKED), await asker.way(REWORDED)] == ["miss", "miss"]


async def test_without_postgresql_it_is_a_miss(asker) -> None:
    asker.bench.first.replies = [Reply(completion(ANSWER))]
    gone = Database("postgresql://nobody@127.0.0.1:1/none", pool_size=1, connect_timeout=0.1)
    await gone.open()
    try:
        asker = asker.having(database=gone)
        assert [await asker.way(ASKED), await asker.way(REWORDED)] == ["miss", "miss"]
        assert await asker.way(ASKED) == "hit"
    finally:
        await gone.close()


async def test_without_valkey_it_is_served_all_the_same(asker) -> None:
    asker.bench.first.replies = [Reply(completion(ANSWER))]
    asker = asker.having(flights=asker.bench.services.flights)

    assert [await asker.way(ASKED), await asker.way(REWORDED)] == ["miss", "semantic"]
