"""The cache, single flight and resumable streams through the whole pipeline, over real Valkey."""

import asyncio
import json
import uuid
from dataclasses import replace
from typing import Any

import pytest

from shared.cache.flights import FlightKey, Flights, Follow, Hit, Lead
from shared.completion.answer import Answer, BufferedAnswer, StreamedAnswer
from shared.completion.assemble import Assembler
from shared.completion.pipeline import complete
from shared.limits.caller import Caller
from shared.providers.reasoning_vault import ReasoningVault
from shared.valkey.client import Valkey
from tests.contract.bench import Bench
from tests.contract.upstream import Reply, StreamReply, as_events, transcript

COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "upstream-model",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "A low dam.", "reasoning_content": "Rivers."},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
}
"""A whole answer with reasoning."""


class WatchedFlights(Flights):
    """Says when a request has joined another."""

    def __init__(self, valkey: Valkey) -> None:
        super().__init__(valkey)
        self.joined = asyncio.Event()

    async def board(self, key: FlightKey, flight_id: str, *, recall: bool) -> Hit | Lead | Follow | None:
        boarding = await super().board(key, flight_id, recall=recall)
        if isinstance(boarding, Follow):
            self.joined.set()
        return boarding


@pytest.fixture
def shared_bench(bench: Bench, valkey) -> Bench:
    """The bench with a Valkey that is there."""
    services = replace(bench.services, flights=WatchedFlights(valkey), vault=ReasoningVault(valkey))
    return replace(bench, services=services)


@pytest.fixture
def ask(shared_bench: Bench, call):
    """Asks one question, as one tenant of this test's own."""
    tenant_id = f"tenant_{uuid.uuid4().hex}"

    async def run(*, tenant: str = tenant_id, **fields: Any) -> Answer:
        made = replace(
            call(**fields),
            request_id=f"req_{uuid.uuid4().hex}",
            caller=Caller(tenant_id=tenant, key_id="key", role="member"),
        )
        return await complete(shared_bench.services, made)

    return run


async def whole(answer: Answer) -> dict[str, Any]:
    """The completion, however it was given."""
    if isinstance(answer, BufferedAnswer):
        return dict(json.loads(answer.content))
    assembler = Assembler()
    for chunk in await chunks(answer):
        assembler.read(chunk)
    return assembler.whole()


async def chunks(answer: StreamedAnswer) -> list[dict[str, Any]]:
    """The decoded chunks of a stream, up to its `[DONE]`."""
    events = b"".join([piece async for piece in answer.events]).split(b"\n\n")
    data = [line[6:] for event in events for line in event.split(b"\n") if line.startswith(b"data: ")]
    assert data.pop() == b"[DONE]"
    return [json.loads(line) for line in data]


def said(completion: dict[str, Any]) -> tuple[Any, Any]:
    """What an answer comes to: its choices and its usage."""
    return completion["choices"], completion.get("usage")


WITH_USAGE = {"stream": True, "stream_options": {"include_usage": True}}


@pytest.mark.parametrize("first", [{}, WITH_USAGE], ids=["whole", "streamed"])
@pytest.mark.parametrize("second", [{}, WITH_USAGE], ids=["whole", "streamed"])
@pytest.mark.parametrize("name", ["deepseek-reasoning", "deepseek-tools", "openai-text"])
async def test_one_entry_serves_both_forms(shared_bench, ask, first, second, name) -> None:
    streamed = transcript(name)
    assembler = Assembler()
    for chunk in streamed:
        assembler.read(chunk)
    if first:
        shared_bench.first.replies = [StreamReply([as_events(streamed)])]
    else:
        shared_bench.first.replies = [Reply(assembler.whole())]

    given = await ask(**first)
    answers = [await whole(given), await whole(again := await ask(**second))]

    assert given.headers["x-weir-cache"] == "miss"
    assert again.headers["x-weir-cache"] == "hit"
    assert said(answers[0]) == said(answers[1]) == said(assembler.whole())
    assert len(shared_bench.first.requests) == 1
    miss, hit = shared_bench.records
    assert (hit.cache_outcome, hit.cost_microdollars) == ("hit", 0)
    assert hit.saved_microdollars == miss.cost_microdollars > 0
    assert hit.completion_tokens == miss.completion_tokens


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": 0.5},
        {"repetition_penalty": 1.1},
        {"messages": [{"role": "user", "content": "What is a dam?"}]},
        {"tenant": "another"},
        {"weir": {"cache": {"mode": "off"}}},
    ],
)
async def test_what_differs_is_asked_anew(shared_bench, ask, change) -> None:
    shared_bench.first.replies = [Reply(COMPLETION)]
    await ask()
    if change == {"tenant": "another"}:
        change = {"tenant": f"tenant_{uuid.uuid4().hex}"}

    again = await ask(**change)

    assert again.headers.get("x-weir-cache") != "hit"
    assert len(shared_bench.first.requests) == 2


@pytest.mark.parametrize("reason", ["length", "content_filter"])
async def test_an_answer_cut_short_is_not_given_again(shared_bench, ask, reason) -> None:
    cut = json.loads(json.dumps(COMPLETION).replace('"stop"', f'"{reason}"'))
    shared_bench.first.replies = [Reply(cut), Reply(COMPLETION)]
    await ask()

    again = await ask()

    assert again.headers["x-weir-cache"] == "miss"


@pytest.mark.parametrize("leader", [{}, WITH_USAGE], ids=["whole", "streamed"])
async def test_twenty_identical_requests_are_one_upstream_call(shared_bench, ask, leader) -> None:
    hold = asyncio.Event()
    chunks_ = transcript("openai-text")
    assembler = Assembler()
    for chunk in chunks_:
        assembler.read(chunk)
    if leader:
        shared_bench.first.replies = [
            StreamReply([as_events(chunks_[:5], done=False), as_events(chunks_[5:])], hold=hold)
        ]
    else:
        shared_bench.first.replies = [Reply(assembler.whole(), hold=hold)]

    async def one(fields: dict[str, Any]) -> dict[str, Any]:
        return await whole(await ask(**fields))

    first = asyncio.create_task(one(leader))
    async with asyncio.timeout(5):
        while not shared_bench.first.requests:  # noqa: ASYNC110 - the upstream has no event for it
            await asyncio.sleep(0.001)
    rest = [asyncio.create_task(one(WITH_USAGE if number % 2 else {})) for number in range(19)]
    await asyncio.sleep(0)
    hold.set()
    answers = await asyncio.gather(first, *rest)

    assert all(said(answer) == said(assembler.whole()) for answer in answers)
    assert len(shared_bench.first.requests) == 1
    assert sum(record.cost_microdollars > 0 for record in shared_bench.records) == 1
    assert len(shared_bench.records) == 20


async def test_a_leader_who_leaves_goes_on_for_who_joined(shared_bench, ask) -> None:
    hold = asyncio.Event()
    chunks_ = transcript("openai-text")
    pieces = [as_events(chunks_[:5], done=False), as_events(chunks_[5:])]
    shared_bench.first.replies = [StreamReply(pieces, hold=hold)]
    leader = await ask(**WITH_USAGE)
    assert isinstance(leader, StreamedAnswer)
    await anext(leader.events)
    follower = await ask(**WITH_USAGE)
    assert isinstance(follower, StreamedAnswer)
    begun = await anext(follower.events)
    # At once: the writer has not heard of its reader yet.
    await leader.events.aclose()  # type: ignore[attr-defined]
    hold.set()
    rest = b"".join([piece async for piece in follower.events])

    assert (begun + rest).count(b"data: ") == len(chunks_) + 1
    assert len(shared_bench.first.requests) == 1
    assert not shared_bench.first.gone.is_set()


async def test_a_leader_of_a_whole_answer_who_leaves_goes_on_for_who_joined(shared_bench, ask) -> None:
    hold = asyncio.Event()
    shared_bench.first.replies = [Reply(COMPLETION, hold=hold)]
    leader = asyncio.create_task(ask())
    async with asyncio.timeout(5):
        await shared_bench.first.asked.wait()
    follower = asyncio.create_task(ask())
    async with asyncio.timeout(5):
        await shared_bench.services.flights.joined.wait()  # type: ignore[attr-defined]
    leader.cancel()
    await asyncio.wait([leader])
    hold.set()

    assert (await follower).headers["x-weir-cache"] == "joined"
    assert len(shared_bench.first.requests) == 1


async def test_without_valkey_everyone_asks_for_himself(bench, call) -> None:
    bench.first.replies = [Reply(COMPLETION)]
    for _ in range(2):
        answer = await complete(bench.services, call())
        assert answer.headers["x-weir-cache"] == "miss"
    assert len(bench.first.requests) == 2


@pytest.mark.parametrize("form", [{}, WITH_USAGE], ids=["whole", "streamed"])
async def test_reasoning_is_put_back_on_the_turn_it_belongs_to(shared_bench, ask, form) -> None:
    chunks_ = transcript("deepseek-tools")
    assembler = Assembler()
    for chunk in chunks_:
        assembler.read(chunk)
    first = StreamReply([as_events(chunks_)]) if form else Reply(assembler.whole())
    shared_bench.first.replies = [first, Reply(COMPLETION)]
    question = {"role": "user", "content": "How high is the Wear?"}
    turn = (await whole(await ask(messages=[question], **form)))["choices"][0]["message"]
    assert turn.pop("reasoning_content")

    result = {"role": "tool", "tool_call_id": turn["tool_calls"][0]["id"], "content": "2 m"}
    await ask(messages=[question, turn, result])

    sent = shared_bench.first.requests[1]["messages"][1]
    assert sent["reasoning_content"] == "Look it up."
    assert "weir_reasoning" not in sent
