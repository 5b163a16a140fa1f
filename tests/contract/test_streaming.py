"""Streams arrive exact, whatever the provider's habits and however the bytes are cut."""

import asyncio
import json
import math
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from shared.completion.answer import StreamedAnswer
from shared.completion.pipeline import complete
from shared.errors import InvalidRequestError, RateLimitError, UpstreamError
from shared.providers.catalog import Catalog, Models
from tests.contract.upstream import Reply, StreamReply, as_events, read_transcript, transcript

RECORDED = Path(__file__).parents[3] / "shared" / "data" / "transcripts"


async def streamed(bench, call, **fields) -> list[dict | str]:
    """The payloads of all events of a streamed answer, `[DONE]` as it is."""
    answer = await complete(bench.services, call(stream=True, **fields))
    assert isinstance(answer, StreamedAnswer)
    raw = b"".join([piece async for piece in answer.events])
    payloads = [e[6:] for e in raw.decode().split("\n\n") if e.startswith("data: ")]
    return [p if p == "[DONE]" else json.loads(p) for p in payloads]


def said(chunks, field: str) -> str:
    return "".join(
        choice["delta"].get(field) or "" for chunk in chunks for choice in chunk.get("choices", [])
    )


@pytest.mark.parametrize("cut", [1, 2, 3, 7, 64, 100_000])
@pytest.mark.parametrize("name", ["openai-text", "deepseek-reasoning", "deepseek-tools"])
async def test_every_chunk_arrives_as_sent(bench, call, name, cut) -> None:
    chunks = transcript(name)
    raw = as_events(chunks, keep_alive=name.startswith("deepseek"))
    bench.first.replies = [StreamReply([raw[i : i + cut] for i in range(0, len(raw), cut)])]

    events = await streamed(bench, call, stream_options={"include_usage": True})

    assert events == [*chunks, "[DONE]"]


async def test_usage_is_asked_for_and_hidden_from_who_did_not_ask(bench, call) -> None:
    bench.first.replies = [StreamReply([as_events(transcript("openai-text"))])]

    events = await streamed(bench, call)

    assert bench.first.requests[0]["stream_options"] == {"include_usage": True}
    assert events[-1] == "[DONE]"
    assert not any(chunk.get("usage") for chunk in events[:-1])
    assert all(chunk["choices"] for chunk in events[:-1])


async def test_usage_on_the_finishing_chunk_is_hidden_without_losing_the_finish(bench, call) -> None:
    bench.first.replies = [StreamReply([as_events(transcript("deepseek-reasoning"))])]

    *chunks, done = await streamed(bench, call)

    assert done == "[DONE]"
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert not any(chunk.get("usage") for chunk in chunks)
    assert said(chunks, "reasoning_content") == "The river is dammed; 水 rises."


async def test_the_ledger_gets_reported_usage_at_the_cached_price(bench, call) -> None:
    bench.first.replies = [StreamReply([as_events(transcript("deepseek-reasoning"))])]

    await streamed(bench, call)

    [record] = bench.records
    assert (record.prompt_tokens, record.cached_tokens) == (21, 16)
    assert (record.completion_tokens, record.reasoning_tokens) == (17, 9)
    # 5 at 1, 16 at 0.1 and 17 at 2 micro-dollars: 40.6, rounded.
    assert record.cost_microdollars == 41
    assert (record.provider, record.model, record.outcome) == ("first", "test-model", "completed")
    assert not record.estimated
    assert record.first_token_ms is not None


def thinking(content: str, finish: str = "stop", **usage: int) -> StreamReply:
    """A model that thinks, and then says this."""
    deltas = [{"role": "assistant", "content": ""}, {"reasoning_content": "Hm."}, {"content": content}]
    chunks = [{"id": "c", "choices": [{"index": 0, "delta": d, "finish_reason": None}]} for d in deltas]
    end = {"index": 0, "delta": {}, "finish_reason": finish}
    return StreamReply([as_events([*chunks, {"id": "c", "choices": [end], "usage": usage}])])


JSON = {"response_format": {"type": "json_object"}}
USED = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


async def test_blanks_after_reasoning_are_no_json_and_asked_for_again(bench, call) -> None:
    bench.first.replies = [thinking(" \n ", **USED), thinking('{"a": 1}', **USED)]

    *chunks, done = await streamed(bench, call, **JSON)

    assert (said(chunks, "content"), done) == ('{"a": 1}', "[DONE]")
    assert len([c for chunk in chunks for c in chunk["choices"] if c["finish_reason"]]) == 1
    [record] = bench.records
    assert [(leg.outcome, leg.completion_tokens) for leg in record.legs] == [("failed", 5), ("completed", 5)]
    assert (record.outcome, record.prompt_tokens, record.completion_tokens) == ("completed", 20, 10)


async def test_blanks_that_come_twice_are_a_failure(bench, call) -> None:
    bench.first.replies = [thinking("  ", **USED)]

    *chunks, error = await streamed(bench, call, **JSON)

    assert "(broken)" in error["error"]["message"]
    assert said(chunks, "content") == ""
    [record] = bench.records
    assert (record.outcome, record.completion_tokens) == ("failed", 10)
    assert len(bench.first.requests) == 2


@pytest.mark.parametrize("finish", ["length", "content_filter"])
async def test_an_answer_cut_short_is_not_asked_for_again(bench, call, finish) -> None:
    bench.first.replies = [thinking("  ", finish, **USED)]

    *chunks, done = await streamed(bench, call, **JSON)

    assert (said(chunks, "content"), done) == ("  ", "[DONE]")
    assert len(bench.first.requests) == 1


async def test_a_stream_without_usage_is_estimated(bench, call) -> None:
    chunks = [{**chunk, "usage": None} for chunk in transcript("deepseek-reasoning")]
    bench.first.replies = [StreamReply([as_events(chunks)])]

    await streamed(bench, call)

    [record] = bench.records
    assert record.estimated
    assert record.completion_tokens > 0


async def test_text_reaches_the_caller_before_the_stream_ends(bench, call) -> None:
    hold = asyncio.Event()
    chunks = transcript("openai-text")
    bench.first.replies = [StreamReply([as_events(chunks[:4], done=False), as_events(chunks[4:])], hold)]
    answer = await complete(bench.services, call(stream=True))

    first = await anext(answer.events)
    assert b'"content": "A"' in first, "the first token, without what came with it"
    async with asyncio.timeout(5):
        while b"small" not in first:
            first += await anext(answer.events)
    hold.set()
    rest = b"".join([piece async for piece in answer.events])

    assert rest.endswith(b"data: [DONE]\n\n")


async def test_leaving_early_ends_the_upstream_call_and_bills_what_was_used(bench, call) -> None:
    never = asyncio.Event()
    chunks = transcript("openai-text")
    bench.first.replies = [StreamReply([as_events(chunks[:4], done=False), b": never\n\n"], never)]
    answer = await complete(bench.services, call(stream=True))

    async with aclosing(answer.events) as events:
        await anext(events)

    async with asyncio.timeout(5):
        await bench.first.gone.wait()
    [record] = bench.records
    assert record.outcome == "cancelled"
    assert record.estimated
    assert record.completion_tokens > 0


@pytest.mark.parametrize(
    "reply",
    [
        StreamReply([as_events(transcript("openai-text")[:3], done=False)]),
        StreamReply([as_events(transcript("openai-text")[:3], done=False)], abort=True),
        StreamReply([as_events(transcript("openai-text")[:3], done=False) + b"data: {oops\n\n"]),
        StreamReply([as_events([*transcript("openai-text")[:3], {"error": {"message": "busy"}}])]),
        StreamReply([as_events([*transcript("openai-text")[:3], {"choices": ["no choice"]}])]),
        StreamReply([as_events([*transcript("openai-text")[:3], 7])]),
    ],
    ids=["ends early", "breaks off", "not JSON", "error event", "no choice", "no object"],
)
async def test_a_broken_stream_ends_with_an_error_event_and_no_done(bench, call, reply) -> None:
    bench.first.replies = [reply]

    events = await streamed(bench, call)

    assert events[-1]["error"]["code"] == "upstream_error"
    assert said(events[:-1], "content") == "A small"
    assert bench.records[0].outcome == "failed"


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("status", [429, 500, 503])
async def test_another_deployment_answers_when_the_first_cannot(bench, call, status, stream) -> None:
    bench.first.replies = [Reply({"error": {"message": "busy"}}, status)]
    bench.second.replies = [StreamReply([as_events(transcript("openai-text"))]) if stream else COMPLETION]

    answer = await complete(bench.services, call(stream=stream))

    assert answer.headers["x-weir-provider"] == "second"
    if isinstance(answer, StreamedAnswer):
        await answer.events.aclose()


COMPLETION = Reply(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "A dam."}}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8},
    }
)


@pytest.mark.parametrize(
    "body", [{}, {"choices": []}, {"choices": [{"message": "no object"}]}, "text", [], None]
)
async def test_what_is_no_completion_is_our_error_not_a_crash(bench, call, body) -> None:
    bench.first.replies = bench.second.replies = [Reply(body)]

    with pytest.raises(UpstreamError):
        await complete(bench.services, call())


@pytest.mark.parametrize(
    "usage", ["many", [], {"prompt_tokens": -1, "completion_tokens": "7", "prompt_tokens_details": 3}]
)
async def test_garbled_usage_does_not_cost_the_answer(bench, call, usage) -> None:
    bench.first.replies = [Reply({**COMPLETION.body, "usage": usage})]

    answer = await complete(bench.services, call())

    assert json.loads(answer.content)["usage"] == usage
    [record] = bench.records
    assert record.outcome == "completed"
    assert record.estimated
    assert record.cost_microdollars > 0


async def test_a_request_at_fault_is_not_tried_elsewhere(bench, call) -> None:
    bench.first.replies = [Reply({"error": {"message": "temperature is too high"}}, 400)]

    with pytest.raises(InvalidRequestError, match="temperature is too high"):
        await complete(bench.services, call())

    assert not bench.second.requests


async def test_when_all_are_busy_the_caller_hears_when_to_come_back(bench, call) -> None:
    for upstream in (bench.first, bench.second):
        upstream.replies = [Reply({"error": {"message": "busy"}}, 429, {"retry-after": "7"})]

    with pytest.raises(RateLimitError) as caught:
        await complete(bench.services, call())

    assert caught.value.retry_after == 7


async def test_a_key_of_ours_that_is_refused_is_not_shown_as_the_callers_fault(bench, call) -> None:
    bench.first.replies = [Reply({"error": {"message": "Incorrect API key provided: sk-secret"}}, 401)]

    with pytest.raises(UpstreamError) as caught:
        await complete(bench.services, call())

    assert "sk-secret" not in caught.value.message


async def test_a_buffered_answer_passes_untouched_and_is_billed(bench, call) -> None:
    bench.first.replies = [COMPLETION]

    answer = await complete(bench.services, call())

    assert json.loads(answer.content) == COMPLETION.body
    assert bench.records[0].cost_microdollars == 11


async def test_the_provider_sees_its_own_name_for_the_model_and_unknown_fields(bench, call) -> None:
    bench.first.replies = [COMPLETION]

    await complete(bench.services, call(thinking={"type": "disabled"}, top_k=3))

    [sent] = bench.first.requests
    assert sent["model"] == "upstream-model"
    assert (sent["thinking"], sent["top_k"]) == ({"type": "disabled"}, 3)
    assert "weir" not in sent


async def test_assistant_turns_carry_reasoning_content_where_it_is_required(bench, call) -> None:
    bench.first.replies = [COMPLETION]
    turn = {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", "type": "function"}]}
    messages = [
        {"role": "user", "content": "Hi"},
        turn,
        {"role": "tool", "tool_call_id": "c1", "content": "1"},
    ]

    await complete(bench.services, call(messages=messages))

    assert bench.first.requests[0]["messages"][1]["reasoning_content"] == ""


@pytest.mark.skipif(not RECORDED.is_dir(), reason="recorded provider streams are not at ../shared/data")
@pytest.mark.parametrize(
    "name", ["deepseek/deepseek-text", "deepseek/deepseek-reasoning", "openai/openai-text"]
)
async def test_recorded_streams_arrive_exact(bench, call, name) -> None:
    chunks = read_transcript(RECORDED / f"{name}.chunks.txt")
    bench.first.replies = [StreamReply([as_events(chunks, keep_alive=True)])]

    events = await streamed(bench, call, stream_options={"include_usage": True})

    assert events == [*chunks, "[DONE]"]
    usage = next(chunk["usage"] for chunk in reversed(chunks) if chunk.get("usage"))
    assert bench.records[0].completion_tokens == usage["completion_tokens"]


async def test_an_answer_that_breaks_off_is_taken_up_by_prefix_and_both_calls_are_billed_once(
    bench, call
) -> None:
    chunks = transcript("deepseek-reasoning")
    words = [chunk for chunk in chunks if chunk["choices"][0]["delta"].get("content")][:3]
    begun = chunks[: chunks.index(words[-1]) + 1]
    bench.first.replies = [
        StreamReply([as_events(begun, done=False)], abort=True),
        StreamReply([as_events(chunks[len(begun) :])]),
    ]
    provider = bench.services.models.chat("test-model")[0].provider
    prefixed = provider.model_copy(update={"prefix_base_url": bench.first.url})
    models = Models(Catalog(providers=(prefixed,)))
    world = replace(bench, services=replace(bench.services, models=models))

    events = await streamed(world, call, stream_options={"include_usage": True})

    assert events == [*chunks, "[DONE]"]
    last = bench.first.requests[1]["messages"][-1]
    assert last["prefix"] is True
    assert last["content"] == "".join(chunk["choices"][0]["delta"]["content"] for chunk in words)
    [record] = bench.records
    assert [leg.outcome for leg in record.legs] == ["failed", "completed"]
    assert all(leg.cost_microdollars for leg in record.legs)
    assert record.cost_microdollars == sum(leg.cost_microdollars for leg in record.legs)


@pytest.mark.parametrize("stream", [False, True])
async def test_estimates_of_prompts_get_nearer_to_what_the_model_counts(bench, call, stream) -> None:
    chunks = transcript("openai-text")
    body = {**COMPLETION.body, "usage": {"prompt_tokens": 40, "completion_tokens": 1, "total_tokens": 41}}
    chunks = [chunk | ({"usage": body["usage"]} if chunk.get("usage") else {}) for chunk in chunks]
    bench.first.replies = [StreamReply([as_events(chunks)]) if stream else Reply(body)]
    deployment = bench.services.models.chat("test-model")[0]
    assert bench.services.router.token_ratio(deployment) == 1.0
    for temperature in (0.1, 0.2):
        if stream:
            await streamed(bench, call, temperature=temperature)
        else:
            await complete(bench.services, call(temperature=temperature))
        # Averages are handed over once a second; let that second be over.
        bench.services.router._board._read_at = -math.inf

    assert bench.services.router.token_ratio(deployment) > 1.0
