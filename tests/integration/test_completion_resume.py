"""A client that lost its connection, or whose answer lost its maker, misses nothing."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from shared.cache.flights import FlightOptions, Flights
from shared.completion.answer import StreamedAnswer
from shared.completion.pipeline import complete
from shared.completion.resume import cancel, resume
from shared.completion.services import Services
from shared.errors import NotFoundError
from shared.limits.caller import Caller
from shared.providers.catalog import Catalog, Models
from shared.valkey.client import Valkey
from tests.contract.bench import CATALOG, Bench
from tests.contract.upstream import Reply, StreamReply, as_events, transcript

# The second provider stands in for the first, unless a request says otherwise.
WITH_FALLBACK = CATALOG.replace('kind = "chat"', 'kind = "chat"\nfallbacks = ["stand-in"]', 1).replace(
    'name = "test-model"\npriority = 1', 'name = "stand-in"', 1
)

CHUNKS = transcript("openai-text")
PIECES = [as_events([chunk], done=chunk is CHUNKS[-1]) for chunk in CHUNKS]
LIVELY = FlightOptions(lease_seconds=0.3, boarding_seconds=0.3)
STREAM = {"stream": True, "stream_options": {"include_usage": True}}


@dataclass
class Asked:
    """A stream that was asked for."""

    caller: Caller
    request_id: str
    events: AsyncIterator[bytes]


@pytest.fixture
def services(bench: Bench, valkey: Valkey) -> Services:
    return replace(bench.services, flights=Flights(valkey, LIVELY))


@pytest.fixture
def ask(call):
    caller = Caller(tenant_id=f"tenant_{uuid.uuid4().hex}", key_id="key", role="member")

    async def run(services: Services, **fields: Any) -> Asked:
        request_id = f"req_{uuid.uuid4().hex}"
        made = replace(call(**STREAM, **fields), request_id=request_id, caller=caller)
        answer = await complete(services, made)
        assert isinstance(answer, StreamedAnswer)
        return Asked(caller, request_id, answer.events)

    return run


async def read(events: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in events])


def last_id(events: bytes) -> int:
    ids = [line[4:] for line in events.split(b"\n") if line.startswith(b"id: ")]
    return int(ids[-1])


async def test_what_was_missed_is_read_after_the_end(bench, services, ask) -> None:
    bench.first.replies = [StreamReply([as_events(CHUNKS)])]
    asked = await ask(services)
    everything = await read(asked.events)

    again = await resume(services, asked.caller, asked.request_id, 0)
    assert await read(again.events) == everything
    middle = len(CHUNKS) // 2
    rest = await resume(services, asked.caller, asked.request_id, middle)
    assert everything.endswith(await read(rest.events))
    assert len(bench.first.requests) == 1


async def test_a_stream_marked_resumable_goes_on_without_its_client(bench, services, ask) -> None:
    hold = asyncio.Event()
    bench.first.replies = [StreamReply(PIECES, hold=hold)]
    asked = await ask(services, weir={"resumable": True})
    begun = await anext(asked.events)
    await asked.events.aclose()  # type: ignore[attr-defined]

    again = await resume(services, asked.caller, asked.request_id, last_id(begun))
    reading = asyncio.create_task(read(again.events))
    hold.set()

    assert (begun + await reading).count(b"data: ") == len(CHUNKS) + 1
    assert len(bench.first.requests) == 1


@asynccontextmanager
async def cut_off(valkey: Valkey, url: str) -> AsyncIterator[Valkey]:
    """A connection of its own to the same server."""
    own = Valkey(url, cluster=False, timeout_ms=2000)
    yield own
    await own.close()


@pytest.mark.parametrize("valkey", ["plain"], indirect=True)
async def test_an_answer_whose_maker_died_goes_on_where_it_broke_off(
    bench, services, ask, valkey, valkey_url
) -> None:
    hold = asyncio.Event()
    bench.first.replies = [StreamReply(PIECES, hold=hold), StreamReply([as_events(CHUNKS)])]
    async with cut_off(valkey, valkey_url) as own:
        dying = replace(services, flights=Flights(own, LIVELY))
        asked = await ask(dying, weir={"resumable": True})
        begun = await anext(asked.events)
        while begun.count(b"id: ") < 5:
            begun += await anext(asked.events)
        # From here on its maker is silent, as one that was killed.
        own._probe = asyncio.create_task(asyncio.Event().wait())  # type: ignore[assignment]

        again = await resume(services, asked.caller, asked.request_id, last_id(begun))
        rest = await asyncio.wait_for(read(again.events), 10)

        hold.set()
        await read(asked.events)
    assert text_of(begun + rest) == text_of(as_events(CHUNKS))
    assert rest.endswith(b"data: [DONE]\n\n")
    assert len(bench.first.requests) == 2


@pytest.mark.parametrize("valkey", ["plain"], indirect=True)
async def test_who_takes_over_asks_only_whom_the_request_allows(
    bench, services, ask, valkey, valkey_url
) -> None:
    models = Models(Catalog.from_toml(WITH_FALLBACK.format(first=bench.first.url, second=bench.second.url)))
    services = replace(services, models=models)
    refusing = Reply({"error": {"message": "over"}}, status=503)
    bench.first.replies = [StreamReply(PIECES, hold=asyncio.Event()), refusing]
    bench.second.replies = [StreamReply([as_events(CHUNKS)])]
    async with cut_off(valkey, valkey_url) as own:
        asked = await ask(replace(services, flights=Flights(own, LIVELY)), weir={"fallback": []})
        begun = await anext(asked.events)
        own._probe = asyncio.create_task(asyncio.Event().wait())  # type: ignore[assignment]

        again = await resume(services, asked.caller, asked.request_id, last_id(begun))
        rest = await asyncio.wait_for(read(again.events), 10)
        await asked.events.aclose()  # type: ignore[attr-defined]

    assert b'"error"' in rest
    assert bench.second.requests == []


async def test_a_cancelled_answer_ends_upstream_and_is_billed(bench, services, ask) -> None:
    bench.first.replies = [StreamReply(PIECES, hold=asyncio.Event())]
    asked = await ask(services)
    begun = await anext(asked.events)

    assert await cancel(services, asked.caller, asked.request_id)
    rest = await asyncio.wait_for(read(asked.events), 5)

    assert b"[DONE]" not in rest
    assert b'"code":"cancelled"' in rest
    assert begun
    await asyncio.wait_for(bench.first.gone.wait(), 5)
    [record] = bench.records
    assert record.outcome == "cancelled"
    assert record.completion_tokens > 0


async def test_another_key_finds_no_answer(bench, services, ask) -> None:
    bench.first.replies = [StreamReply([as_events(CHUNKS)])]
    asked = await ask(services)
    await read(asked.events)

    other = asked.caller.model_copy(update={"key_id": "another"})
    stranger = asked.caller.model_copy(update={"tenant_id": "another"})
    admin = other.model_copy(update={"role": "admin"})
    for caller in (other, stranger):
        with pytest.raises(NotFoundError):
            await resume(services, caller, asked.request_id, 0)
    assert await read((await resume(services, admin, asked.request_id, 0)).events)


@pytest.mark.parametrize("valkey", ["plain"], indirect=True)
async def test_who_joined_goes_on_when_the_maker_dies(bench, services, ask, valkey, valkey_url) -> None:
    hold = asyncio.Event()
    bench.first.replies = [StreamReply(PIECES, hold=hold), StreamReply([as_events(CHUNKS)])]
    async with cut_off(valkey, valkey_url) as own:
        asked = await ask(replace(services, flights=Flights(own, LIVELY)))
        begun = await anext(asked.events)
        joined = await ask(services)
        first = await anext(joined.events)
        own._probe = asyncio.create_task(asyncio.Event().wait())  # type: ignore[assignment]

        rest = await asyncio.wait_for(read(joined.events), 10)

        hold.set()
        await read(asked.events)
    assert begun
    assert text_of(first + rest) == text_of(as_events(CHUNKS))
    assert rest.endswith(b"data: [DONE]\n\n")
    assert len(bench.first.requests) == 2
    # The answer is billed once, to who asked first; who joined spared it.
    assert [r.request_id for r in bench.records if r.cost_microdollars] == [asked.request_id] * 2
    assert [r.cache_outcome for r in bench.records if r.request_id == joined.request_id] == ["joined"]


async def test_who_joined_is_found_by_its_own_id_and_can_leave(bench, services, ask) -> None:
    hold = asyncio.Event()
    bench.first.replies = [StreamReply(PIECES, hold=hold)]
    leader = await ask(services)
    await anext(leader.events)
    joined = await ask(services)
    begun = await anext(joined.events)

    again = await resume(services, joined.caller, joined.request_id, 0)
    assert begun.startswith(await anext(again.events))
    await again.events.aclose()  # type: ignore[attr-defined]
    assert await cancel(services, joined.caller, joined.request_id)
    assert b'"code":"cancelled"' in await asyncio.wait_for(read(joined.events), 5)

    hold.set()
    assert (await read(leader.events)).endswith(b"data: [DONE]\n\n")
    outcomes = {record.request_id: (record.outcome, record.cost_microdollars > 0) for record in bench.records}
    assert outcomes == {joined.request_id: ("cancelled", False), leader.request_id: ("completed", True)}


async def test_who_joined_and_leaves_is_settled(bench, services, ask) -> None:
    hold = asyncio.Event()
    bench.first.replies = [StreamReply(PIECES, hold=hold)]
    leader = await ask(services)
    await anext(leader.events)
    joined = await ask(services)
    await anext(joined.events)
    await joined.events.aclose()  # type: ignore[attr-defined]

    [record] = bench.records
    assert (record.request_id, record.outcome, record.cost_microdollars) == (
        joined.request_id,
        "cancelled",
        0,
    )
    hold.set()
    await read(leader.events)


def text_of(events: bytes) -> str:
    """What a stream says."""
    data = [json.loads(line[6:]) for line in events.split(b"\n") if line.startswith(b"data: {")]
    return "".join(c["choices"][0]["delta"].get("content") or "" for c in data if c["choices"])
