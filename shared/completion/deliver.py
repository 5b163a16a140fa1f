"""Asks for a whole answer, gives it to the caller and whoever joined, and settles it."""

import asyncio
from collections.abc import Mapping
from typing import Any

import orjson

from shared.cache.flights import LogItem, LogWriter
from shared.completion.annotate import grounding
from shared.completion.answer import BufferedAnswer
from shared.completion.compose import Composed
from shared.completion.headers import chat_headers
from shared.completion.refund import refund
from shared.completion.semantic import learn
from shared.completion.services import Services
from shared.completion.settle import Settlement, UpstreamCall, asked_before, settle
from shared.completion.store import entry_of, keep_reasoning, learn_estimate
from shared.ledger.usage import CacheOutcome
from shared.providers.catalog import Deployment
from shared.providers.failures import UpstreamFailure
from shared.providers.tokens import TokenUsage, estimate_tokens
from shared.routing.answers import Buffered

PATH = "/chat/completions"


async def deliver(
    services: Services, composed: Composed, writer: LogWriter | None, cache_outcome: CacheOutcome
) -> BufferedAnswer:
    """The answer as the provider gave it, with citations when there are passages to cite.

    Raises:
        UpstreamFailure: Nobody answered.
        LeftToOthersError: The caller left, and others wait for the answer.
    """
    asking = services.background.start(_ask(services, composed, writer, cache_outcome))
    try:
        return await asyncio.shield(asking)
    except asyncio.CancelledError:
        # Who joined goes on waiting for it; else the upstream call ends with its caller.
        if writer is None or await writer.seal():
            asking.cancel()
            await asyncio.wait([asking])
            raise
        services.background.start(_see_out(services, composed, writer, asking))
        raise LeftToOthersError from None


class LeftToOthersError(Exception):
    """The caller is gone, and the answer is still made, and billed, for those who joined."""


async def _see_out(
    services: Services, composed: Composed, writer: LogWriter, asking: asyncio.Task[BufferedAnswer]
) -> None:
    """Wait for an answer whose caller has left; when it fails, those who wait for it ask for themselves."""
    try:
        await asking
    except UpstreamFailure:
        await writer.abandon()
        await refund(services, composed.admitted)


async def _ask(
    services: Services, composed: Composed, writer: LogWriter | None, cache_outcome: CacheOutcome
) -> BufferedAnswer:
    admitted = composed.admitted
    upstream = await services.router.send(
        admitted.route,
        PATH,
        composed.body,
        tenant_id=admitted.call.caller.tenant_id,
        deadline=admitted.deadline,
    )
    answer, content = upstream.answer, upstream.content
    text = _text(answer)
    if composed.passages:
        answer["choices"][0]["message"] |= grounding(text, composed.passages)
        content = orjson.dumps(answer)
    deployment = upstream.deployment
    await settle(services, admitted, _settlement(composed, upstream, answer, text, cache_outcome))
    await keep_reasoning(services, composed, deployment, answer)
    learn_estimate(services, composed, deployment, TokenUsage.from_body(answer.get("usage")))
    entry = entry_of(services, composed, deployment, answer)
    if writer:
        writer.add([head_of(deployment), LogItem("whole", writer.last_index + 1, content)])
        # An identical request that comes in between joins, and finds it all the same.
        await services.background.afterwards(
            writer.finish("completed", entry=entry, ttl_seconds=composed.caching.ttl_seconds, keep=False)
        )
    if composed.explored:
        await learn(services, composed, composed.explored, entry)
    headers = chat_headers(composed, deployment.provider.name, deployment.model.name, cache_outcome)
    return BufferedAnswer(headers, content)


def head_of(deployment: Deployment) -> LogItem:
    """The first item of a log: who answers."""
    head = {"provider": deployment.provider.name, "model": deployment.model.name}
    return LogItem("head", 0, orjson.dumps(head))


def _text(answer: Mapping[str, Any]) -> str:
    content = answer["choices"][0]["message"].get("content")
    return content if isinstance(content, str) else ""


def _settlement(
    composed: Composed, upstream: Buffered, answer: Mapping[str, Any], text: str, cache_outcome: CacheOutcome
) -> Settlement:
    reported = TokenUsage.from_body(answer.get("usage"))
    request = composed.admitted.call.request
    estimate = TokenUsage(prompt=request.estimated_prompt_tokens, completion=estimate_tokens(text))
    return Settlement(
        calls=(
            *asked_before(upstream.tried),
            UpstreamCall(upstream.deployment, reported if reported.total else estimate),
        ),
        estimated=not reported.total,
        outcome="completed",
        cache_outcome=cache_outcome,
    )
