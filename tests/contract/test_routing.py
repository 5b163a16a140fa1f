"""Whom the router asks when a provider fails, and that nobody sees it before the first token."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import pytest

import shared.providers.endpoint  # noqa: F401 - takes its time when first imported
from shared.providers.catalog import Catalog, Models
from shared.providers.failures import UpstreamFailure
from shared.providers.load import load_credentials
from shared.routing.answers import Streaming
from shared.routing.patience import Patience
from shared.routing.route import Route, chat_route
from shared.routing.router import Router
from tests.contract.upstream import Reply, StreamReply, Upstream, as_events, running_upstream, transcript

PROVIDER = """
[[providers]]
name = "{name}"
base_url = "{url}"
prefix_base_url = "{url}/beta"
secret = "none"
[[providers.models]]
kind = "chat"
name = "{model}"
context_window = 8192
price = {{ input = "1", output = "2" }}
{more}
"""

CHAT = "/chat/completions"
# Waits that no stall of the machine outlasts; a test of one wait shortens that one alone.
PATIENT = Patience(
    request_seconds=60,
    first_token_seconds=30,
    stall_seconds=30,
    back_off_seconds=0.01,
    retry_after_seconds=0.1,
)
SOON = replace(PATIENT, first_token_seconds=0.15)
STALLS = replace(PATIENT, stall_seconds=0.1)
TEXT = StreamReply([as_events(transcript("openai-text"))])
COMPLETION = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "A dam."}}], "usage": {}}
WHOLE = Reply(COMPLETION)
BUSY = Reply({"error": {"message": "busy"}}, 503)


async def learn_speed(world: "World") -> None:
    """Have enough first tokens seen that one can be late."""
    world.first.replies = [TEXT]
    for _ in range(21):
        await read(await world.stream())
    await world.router._board._trade()


def finished(reason: str) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"role": "assistant"}, "finish_reason": reason}]}


@dataclass(frozen=True)
class World:
    """A router over two upstreams: `first` is asked before `second`."""

    first: Upstream
    second: Upstream
    router: Router
    models: Models

    @property
    def route(self) -> Route:
        return chat_route(self.models, "test-model")

    async def send(self, body: dict[str, Any] | None = None, *, seconds: float = 60.0) -> Any:
        deadline = time.monotonic() + seconds
        return await self.router.send(self.route, CHAT, body or {}, tenant_id="t", deadline=deadline)

    async def stream(self, body: dict[str, Any] | None = None, *, seconds: float = 60.0) -> Streaming:
        deadline = time.monotonic() + seconds
        return await self.router.stream(self.route, CHAT, body or {}, tenant_id="t", deadline=deadline)


async def read(streaming: Streaming, chunks: list[Any] | None = None) -> list[dict[str, Any]]:
    """All chunks, put into `chunks` as they come."""
    chunks = [] if chunks is None else chunks
    async with streaming.resources:
        async for batch in streaming.events:
            chunks += [event.chunk for event in batch if event.chunk is not None]
    return chunks


def kinds(outcome: Any) -> list[tuple[str, str]]:
    return [(tried.deployment.provider.name, tried.kind) for tried in outcome.tried]


Opener = Callable[..., Any]


@pytest.fixture
async def upstreams() -> AsyncIterator[tuple[Upstream, Upstream]]:
    async with running_upstream() as first, running_upstream() as second:
        first.replies = second.replies = [WHOLE]
        yield first, second


@pytest.fixture
def open_world(upstreams: tuple[Upstream, Upstream]) -> Opener:
    """Opens a world: two deployments of one model, or the second as `fallback`, or the first `alone`."""

    @asynccontextmanager
    async def opened(
        *, fallback: bool = False, alone: bool = False, more: str = "", patience: Patience = PATIENT
    ) -> AsyncIterator[World]:
        first, second = upstreams
        own = more + ('fallbacks = ["other-model"]\n' if fallback else "")
        other = "other-model" if fallback or alone else "test-model"
        catalog = Catalog.from_toml(
            PROVIDER.format(name="first", url=first.url, model="test-model", more=own)
            + PROVIDER.format(name="second", url=second.url, model=other, more="priority = 1")
        )
        credentials = await load_credentials(catalog, "env:NONE_{PROVIDER}")
        router = Router(credentials, patience=patience, random=Random(1))
        try:
            yield World(first, second, router, Models(catalog))
        finally:
            await router.close()

    return opened


@pytest.fixture
async def world(open_world: Opener) -> AsyncIterator[World]:
    async with open_world() as opened:
        yield opened


FAILING_STREAMS = {
    "503": (BUSY, "overloaded"),
    "429": (Reply({}, 429), "rate_limited"),
    "no stream": (StreamReply([b""]), "broken"),
    "cut before a token": (StreamReply([as_events([finished("")], done=False)], abort=True), "broken"),
    "error event": (StreamReply([as_events([{"error": {"message": "busy"}}])]), "broken"),
    "out of resources": (
        StreamReply([as_events([finished("insufficient_system_resource")])]),
        "overloaded",
    ),
    "only [DONE]": (StreamReply([as_events([])]), "broken"),
}
KEEP_ALIVES = [b": keep-alive\n\n"] * 10_000


@pytest.mark.parametrize("fallback", [False, True], ids=["deployment", "model"])
@pytest.mark.parametrize("failing", FAILING_STREAMS.values(), ids=FAILING_STREAMS)
async def test_before_the_first_token_another_answers_and_nobody_sees_it(
    open_world, failing, fallback
) -> None:
    reply, kind = failing
    async with open_world(fallback=fallback) as world:
        world.first.replies = [reply]
        world.second.replies = [TEXT]

        streaming = await world.stream()

        assert await read(streaming) == transcript("openai-text")
        assert streaming.deployment.provider.name == "second"
        asked = set(kinds(streaming))
        assert asked == {("first", kind)}


async def test_keep_alives_alone_are_no_token_and_another_answers(open_world) -> None:
    async with open_world(patience=SOON) as world:
        world.first.replies = [StreamReply(KEEP_ALIVES, pause=0.01)]
        world.second.replies = [TEXT]

        streaming = await world.stream()

        assert await read(streaming) == transcript("openai-text")
        assert kinds(streaming) == [("first", "timeout")]


FAILING_ANSWERS = {
    "503": (BUSY, "overloaded"),
    "429": (Reply({}, 429), "rate_limited"),
    "no completion": (Reply({"choices": []}), "broken"),
    "an error as 200": (Reply({"error": {"message": "busy"}}), "broken"),
    "blank": (Reply(None, text=" \n\n"), "broken"),
    "out of resources": (
        Reply({"choices": [{"message": {"content": "A"}, "finish_reason": "insufficient_system_resource"}]}),
        "overloaded",
    ),
}


@pytest.mark.parametrize("failing", FAILING_ANSWERS.values(), ids=FAILING_ANSWERS)
async def test_a_whole_answer_that_is_none_is_asked_of_another(world, failing) -> None:
    reply, kind = failing
    world.first.replies = [reply]

    answer = await world.send()

    assert answer.answer == COMPLETION
    assert kinds(answer) == [("first", kind)]


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 422])
@pytest.mark.parametrize("stream", [True, False])
async def test_a_request_or_an_account_at_fault_is_not_asked_again(open_world, status, stream) -> None:
    async with open_world(fallback=True) as world:
        world.first.replies = [Reply({"error": {"message": "no"}}, status)]

        with pytest.raises(UpstreamFailure) as failed:
            await (world.stream() if stream else world.send())

        assert [tried.kind for tried in failed.value.tried] == [failed.value.kind]
        assert (len(world.first.requests), len(world.second.requests)) == (1, 0)


async def test_the_role_is_held_back_until_there_is_a_token(world) -> None:
    role, first, *rest = transcript("openai-text")
    role = {**role, "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}
    hold = asyncio.Event()
    world.first.replies = [StreamReply([as_events([role], done=False), as_events([first, *rest])], hold)]

    opening = asyncio.ensure_future(world.stream())
    async with asyncio.timeout(5):
        await world.first.asked.wait()
    hold.set()
    streaming = await opening

    assert [event.chunk for event in await anext(streaming.events)][:2] == [role, first]
    await streaming.resources.aclose()


async def test_blanks_are_no_json(world) -> None:
    blank = {"choices": [{"index": 0, "delta": {"content": "\n  "}}]}
    world.first.replies = [StreamReply([as_events([blank, finished("stop")])])]
    world.second.replies = [TEXT]

    streaming = await world.stream({"response_format": {"type": "json_object"}})

    assert kinds(streaming) == [("first", "broken")]
    await streaming.resources.aclose()

    world.first.replies = [Reply({"choices": [{"message": {"content": " \n"}, "finish_reason": "stop"}]})]
    world.second.replies = [WHOLE]
    whole = await world.send({"response_format": {"type": "json_object"}})
    assert kinds(whole) == [("first", "broken")]


async def test_the_only_deployment_is_asked_once_more(open_world) -> None:
    async with open_world(alone=True) as world:
        world.first.replies = [BUSY, WHOLE]

        answer = await world.send()

        assert kinds(answer) == [("first", "overloaded")]
        assert len(world.first.requests) == 2


async def test_the_only_deployment_is_asked_no_third_time(open_world) -> None:
    async with open_world(alone=True) as world:
        world.first.replies = [BUSY]

        with pytest.raises(UpstreamFailure) as failed:
            await world.send()

        assert [tried.kind for tried in failed.value.tried] == ["overloaded", "overloaded"]
        assert len(world.first.requests) == 2


async def test_a_short_retry_after_is_waited_for_where_nobody_else_is(open_world) -> None:
    async with open_world(alone=True) as world:
        world.first.replies = [Reply({}, 429, {"retry-after": "0.05"}), WHOLE]
        began = time.monotonic()

        answer = await world.send()

        assert time.monotonic() - began >= 0.05
        assert kinds(answer) == [("first", "rate_limited")]


async def test_a_long_retry_after_is_not_waited_for(open_world) -> None:
    async with open_world(alone=True) as world:
        world.first.replies = [Reply({}, 429, {"retry-after": "30"})]

        with pytest.raises(UpstreamFailure) as failed:
            await world.send()

        assert failed.value.retry_after == 30
        assert len(world.first.requests) == 1


async def test_who_limits_requests_is_left_alone_until_it_said(world) -> None:
    world.first.replies = [Reply({}, 429, {"retry-after": "30"}), WHOLE]

    for _ in range(3):
        assert (await world.send()).deployment.provider.name == "second"

    assert len(world.first.requests) == 1


async def test_a_stream_that_only_keeps_alive_has_stalled(open_world) -> None:
    async with open_world(patience=STALLS) as world:
        begun = as_events(transcript("openai-text")[:4], done=False)
        world.first.replies = [StreamReply([begun, *KEEP_ALIVES], pause=0.01)]
        streaming = await world.stream()
        chunks: list[Any] = []

        with pytest.raises(UpstreamFailure, match="stalled") as failed:
            await read(streaming, chunks)

        assert failed.value.kind == "timeout"
        assert chunks == transcript("openai-text")[:4]
        async with asyncio.timeout(5):
            await world.first.gone.wait()


async def test_a_slow_stream_that_goes_on_has_not_stalled(open_world) -> None:
    async with open_world(patience=replace(PATIENT, stall_seconds=0.6)) as world:
        chunks = transcript("openai-text")
        pieces = [as_events([chunk], done=chunk is chunks[-1]) for chunk in chunks]
        world.first.replies = [StreamReply(pieces, pause=0.8 / len(pieces))]

        assert await read(await world.stream()) == chunks


@pytest.mark.parametrize("stream", [True, False])
async def test_the_deadline_ends_a_request_and_nobody_else_is_asked(open_world, stream) -> None:
    async with open_world(patience=Patience()) as world:
        never = asyncio.Event()
        world.first.replies = [StreamReply([b"", b""], never) if stream else Reply({}, hold=never)]
        began = time.monotonic()

        with pytest.raises(UpstreamFailure) as failed:
            await (world.stream(seconds=0.3) if stream else world.send(seconds=0.3))

        assert failed.value.kind == "timeout"
        assert time.monotonic() - began < 2
        assert world.second.requests == []
        async with asyncio.timeout(5):
            await world.first.gone.wait()


@pytest.mark.parametrize("together", [True, False])
async def test_a_provider_that_runs_out_in_the_middle_has_failed(world, together) -> None:
    begun, short = transcript("openai-text")[:4], finished("insufficient_system_resource")
    pieces = [as_events(begun, done=False), as_events([short])]
    world.first.replies = [StreamReply([b"".join(pieces)] if together else pieces)]
    chunks: list[Any] = []

    with pytest.raises(UpstreamFailure) as failed:
        await read(await world.stream(), chunks)

    assert failed.value.kind == "overloaded"
    assert chunks == begun


async def test_the_deadline_cuts_a_stream(world) -> None:
    begun = as_events(transcript("openai-text")[:4], done=False)
    more = [as_events([transcript("openai-text")[3]], done=False)] * 10_000
    world.first.replies = [StreamReply([begun, *more], pause=0.01)]

    with pytest.raises(UpstreamFailure, match="deadline"):
        await read(await world.stream(seconds=0.5))


async def test_a_late_first_token_is_waited_for_where_nobody_else_is(open_world) -> None:
    async with open_world(alone=True, patience=SOON) as world:
        world.first.replies = [
            StreamReply([*[b": keep-alive\n\n"] * 25, as_events(transcript("openai-text"))], pause=0.01)
        ]

        assert await read(await world.stream()) == transcript("openai-text")


async def test_a_breaker_opens_and_one_probe_closes_it(open_world, capsys) -> None:
    async with open_world(fallback=True) as world:
        world.first.replies = [BUSY]
        for _ in range(4):
            await world.send()
        deployment = world.route.tiers[0][0]
        assert world.router.health(deployment).openings >= 1
        failed = len(world.first.requests)

        for _ in range(5):
            assert (await world.send()).deployment.provider.name == "second"
        assert len(world.first.requests) == failed

        hold = asyncio.Event()
        world.first.replies = [Reply(COMPLETION, hold=hold)]
        pause_over(world.router, deployment.deployment_id)
        probe, *others = [asyncio.ensure_future(world.send()) for _ in range(5)]
        answers = await asyncio.gather(*others)
        assert {answer.deployment.provider.name for answer in answers} == {"second"}
        assert len(world.first.requests) == failed + 1
        hold.set()
        assert (await probe).deployment.provider.name == "first"
        assert world.router.health(deployment).open_until == 0
        assert (await world.send()).deployment.provider.name == "first"
    metrics = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "BreakerState" in line]
    assert [line["BreakerState"] for line in metrics] == [[1.0], [0.0]]
    assert {line["deployment"] for line in metrics} == {deployment.deployment_id}


def pause_over(router: Router, deployment_id: str) -> None:
    """Let the pause of an open breaker be over, as it is after a while."""
    standing = router._board.standing(deployment_id)
    standing.take_over(replace(standing.shared, open_until=time.monotonic()), time.monotonic())


async def test_a_breaker_alone_fails_nobody(open_world) -> None:
    async with open_world(alone=True) as world:
        world.first.replies = [BUSY]
        for _ in range(3):
            with pytest.raises(UpstreamFailure):
                await world.send()
        world.first.replies = [WHOLE]

        assert (await world.send()).deployment.provider.name == "first"
        assert world.router.health(world.route.tiers[0][0]).open_until == 0


async def test_retries_are_a_tenth_of_the_load_at_most(world) -> None:
    world.first.replies = world.second.replies = [BUSY]

    for _ in range(60):
        with pytest.raises(UpstreamFailure):
            await world.send()

    asked = len(world.first.requests) + len(world.second.requests)
    # 10 at the start, 6 for 60 requests, and what grows back in the seconds that this takes.
    assert 60 < asked <= 60 + 10 + 6 + 5


async def test_a_late_first_token_is_asked_of_another_too(open_world) -> None:
    patience = Patience(first_token_seconds=5, stall_seconds=5)
    async with open_world(more="hedge = true\n", patience=patience) as world:
        await learn_speed(world)
        never = asyncio.Event()
        world.first.replies = [StreamReply([b": keep-alive\n\n", b": never\n\n"], never)]
        world.second.replies = [TEXT]

        streaming = await world.stream()

        assert await read(streaming) == transcript("openai-text")
        assert kinds(streaming) == [("first", "hedged")]
        assert streaming.deployment.provider.name == "second"
        async with asyncio.timeout(5):
            await world.first.gone.wait()
        assert world.router._board.standing("first/test-model").in_flight == 0


async def test_a_hedged_request_that_fails_everywhere_fails_once(open_world) -> None:
    async with open_world(more="hedge = true\n") as world:
        await learn_speed(world)
        hold = asyncio.Event()
        world.first.replies = [StreamReply([b": keep-alive\n\n", b""], hold)]
        world.second.replies = [BUSY]

        opening = asyncio.ensure_future(world.stream())
        async with asyncio.timeout(5):
            await world.second.asked.wait()
        hold.set()

        with pytest.raises(UpstreamFailure) as failed:
            await opening
        assert {kind for _, kind in kinds(failed.value)} <= {"overloaded", "broken"}
        assert {name for name, _ in kinds(failed.value)} == {"first", "second"}


async def test_who_leaves_before_the_first_token_ends_the_call(open_world) -> None:
    async with open_world(more="hedge = true\n", patience=Patience()) as world:
        await learn_speed(world)
        never = asyncio.Event()
        world.first.replies = world.second.replies = [StreamReply([b"", b""], never)]

        opening = asyncio.ensure_future(world.stream())
        async with asyncio.timeout(5):
            await world.second.asked.wait()
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening

        async with asyncio.timeout(5):
            await asyncio.gather(world.first.gone.wait(), world.second.gone.wait())


async def test_an_answer_is_taken_up_at_the_providers_own_address(world) -> None:
    world.first.replies = [TEXT]
    deadline = time.monotonic() + 5

    streaming = await world.router.resume(world.route.tiers[0][0], {}, tenant_id="t", deadline=deadline)

    assert await read(streaming) == transcript("openai-text")
    assert world.first.paths == ["/v1/beta/chat/completions"]


async def test_who_does_not_take_up_answers_says_so(world) -> None:
    deployment = world.route.tiers[0][0]
    provider = deployment.provider.model_copy(update={"prefix_base_url": None})

    with pytest.raises(UpstreamFailure, match="take up"):
        await world.router.resume(replace(deployment, provider=provider), {}, tenant_id="t", deadline=1e12)


async def test_each_key_of_a_provider_is_a_deployment(upstreams, monkeypatch) -> None:
    monkeypatch.setenv("KEY_ONE", "sk-1")
    monkeypatch.setenv("KEY_TWO", "sk-2")
    first, _ = upstreams
    text = PROVIDER.format(name="first", url=first.url, model="test-model", more="")
    catalog = Catalog.from_toml(
        text.replace('secret = "none"', 'secrets = ["env:KEY_ONE", "env:KEY_GONE", "env:KEY_TWO"]')
    )
    credentials = await load_credentials(catalog, "")
    models = Models(Catalog(providers=(credentials[0].provider,)))
    router = Router(credentials, random=Random(1))
    first.replies = [Reply({}, 429, {"retry-after": "30"}), WHOLE]

    for _ in range(3):
        await router.send(chat_route(models, "test-model"), CHAT, {}, tenant_id="t", deadline=1e12)
    await router.close()

    limited, *others = [headers["Authorization"] for headers in first.headers]
    assert {limited, *others} == {"Bearer sk-1", "Bearer sk-2"}
    assert limited not in others


async def test_the_estimate_of_tokens_learns_from_what_was_used(world) -> None:
    deployment = world.route.tiers[0][0]
    for _ in range(50):
        world.router.observe_usage(deployment, 100, 150)
    await world.send()
    await world.router._board._trade()

    assert world.router.token_ratio(deployment) == pytest.approx(1.5, abs=0.01)
