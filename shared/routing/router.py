"""Sends requests upstream: to whichever deployment should answer best, and on to others where one fails."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

from shared.providers.answers import read_answer
from shared.providers.catalog import Deployment
from shared.providers.dialect import encode_body
from shared.providers.failures import UpstreamFailure
from shared.providers.json_mode import is_json_asked
from shared.providers.load import Credentials
from shared.providers.model_rows import ChatModel
from shared.providers.tokens import TokenUsage
from shared.routing.answers import Buffered, Streaming
from shared.routing.board import HealthBoard
from shared.routing.choose import Choice
from shared.routing.endpoints import Endpoints
from shared.routing.health import Health
from shared.routing.hedge import first_to_speak
from shared.routing.opening import Opened, Opening, open_stream
from shared.routing.outcome import of_pace, of_success
from shared.routing.patience import Patience
from shared.routing.pursuit import Means, Pursuit
from shared.routing.route import Route
from shared.routing.watch import Watch
from shared.valkey.client import Valkey

# What speed is judged by: answers are rarely longer, and nobody knows how long one will be.
_USUAL_TOKENS = 300


class Router:
    """What this process sends upstream, and what it knows of the deployments."""

    def __init__(
        self,
        credentials: Sequence[Credentials],
        valkey: Valkey | None = None,
        *,
        patience: Patience | None = None,
        clock: Callable[[], float] = time.monotonic,
        random: Random | None = None,
    ) -> None:
        """Args:
        credentials: A key for each deployment that may be asked.
        valkey: Where all processes share what they know of the deployments.
        patience: How long to wait for what.
        clock: What deadlines are on.
        random: Draws deployments and pauses.
        """
        self.patience = patience or Patience()
        self._endpoints = Endpoints(credentials)
        self._board = HealthBoard(valkey, clock)
        self._clock = clock
        # What is drawn is no secret.
        draws = random or Random()  # noqa: S311
        self._means = Means(board=self._board, patience=self.patience, clock=clock, random=draws)

    async def send(
        self, route: Route, path: str, body: Mapping[str, Any], *, tenant_id: str, deadline: float
    ) -> Buffered:
        """The whole answer of the first deployment that gives one which is an answer to `path`.

        Args:
            route: Whom to ask.
            path: `/chat/completions`, `/embeddings` or `/rerank`.
            body: The request, as the caller means it.
            tenant_id: For whom.
            deadline: `time.monotonic()` seconds at which nobody waits any more.

        Raises:
            UpstreamFailure: The last deployment's, when none answered; it carries all that were `tried`.
        """
        pursuit = self._pursuit(route, body, deadline)

        async def ask(choice: Choice) -> Buffered:
            return await pursuit.attempt(choice, lambda c: self._answer(c, path, body, tenant_id, deadline))

        found = await pursuit.run(ask)
        return Buffered(found.deployment, found.content, found.answer, pursuit.tried)

    async def stream(
        self, route: Route, path: str, body: Mapping[str, Any], *, tenant_id: str, deadline: float
    ) -> Streaming:
        """An answer under way, once its first token is there; what failed before that nobody sees.

        Args:
            route: Whom to ask.
            path: `/chat/completions`.
            body: The request, as the caller means it.
            tenant_id: For whom.
            deadline: `time.monotonic()` seconds at which nobody waits any more.

        Raises:
            UpstreamFailure: The last deployment's, when none began; it carries all that were `tried`. While
                iterating: the stream broke off, stalled, or outlasted the deadline.
        """
        pursuit = self._pursuit(route, body, deadline)

        async def open_(choice: Choice) -> Opened:
            elsewhere = pursuit.has_elsewhere(choice)
            opening = self._opening(choice.deployment, path, body, tenant_id, deadline, bounded=elsewhere)
            return await pursuit.attempt(choice, lambda c: open_stream(c, opening, self._clock))

        async def ask(choice: Choice) -> Opened:
            late = self._late(choice)
            if late is None or not pursuit.has_elsewhere(choice):
                return await open_(choice)
            return await first_to_speak(pursuit, choice, open_, after_seconds=late, clock=self._clock)

        return self._streaming(await pursuit.run(ask), pursuit)

    async def resume(
        self, deployment: Deployment, body: Mapping[str, Any], *, tenant_id: str, deadline: float
    ) -> Streaming:
        """The rest of an answer that broke off, from who gave it, once its first token is there.

        Args:
            deployment: Who gave the answer.
            body: The request as prefix completion wants it, with what was said so far.
            tenant_id: For whom.
            deadline: `time.monotonic()` seconds at which nobody waits any more.

        Raises:
            UpstreamFailure: The provider does not take up answers, the retry budget is used up, or it failed.
        """
        url, name = deployment.provider.prefix_base_url, deployment.provider.name
        if url is None:
            raise UpstreamFailure("broken", name, "the provider does not take up answers that broke off")
        if not await self.may_ask_again():
            raise UpstreamFailure("overloaded", name, "too much is being asked again already")
        pursuit = self._pursuit(Route.of([deployment]), body, deadline)
        opening = self._opening(
            deployment, "/chat/completions", body, tenant_id, deadline, bounded=True, base_url=url
        )
        choice = Choice(deployment, 0, "again")
        opened = await pursuit.attempt(choice, lambda c: open_stream(c, opening, self._clock))
        return self._streaming(opened, pursuit)

    async def may_ask_again(self) -> bool:
        """Take one call out of the retry budget; `False`: it is used up."""
        return await self._board.take_retry()

    def observe_usage(self, deployment: Deployment, estimated_prompt: int, actual_prompt: int) -> None:
        """Take note of how many tokens a prompt had, beside Weir's estimate (without `token_ratio`)."""
        self._board.see_usage(deployment, estimated=estimated_prompt, actual=actual_prompt)

    def token_ratio(self, deployment: Deployment) -> float:
        """By what to multiply an estimate of prompt tokens for this model."""
        return self._board.token_ratio(deployment)

    def health(self, deployment: Deployment) -> Health:
        """What is known of a deployment."""
        return self._board.standing(deployment.deployment_id).health

    async def close(self) -> None:
        """Close every connection."""
        await self._endpoints.close()

    def _pursuit(self, route: Route, body: Mapping[str, Any], deadline: float) -> Pursuit:
        asked = body.get("max_completion_tokens") or body.get("max_tokens")
        tokens = min(asked, _USUAL_TOKENS) if isinstance(asked, int) else _USUAL_TOKENS
        return Pursuit(self._means, route, deadline=deadline, tokens=tokens)

    async def _answer(
        self, choice: Choice, path: str, body: Mapping[str, Any], tenant_id: str, deadline: float
    ) -> Buffered:
        deployment, began = choice.deployment, self._clock()
        encoded = encode_body(body, deployment, tenant_id=tenant_id)
        try:
            async with asyncio.timeout(max(0.0, deadline - began)):
                content = await self._endpoints.of(deployment).send(path, encoded)
        except TimeoutError as error:
            raise UpstreamFailure("timeout", deployment.provider.name, "no answer in time") from error
        answer = read_answer(path, content, deployment.provider.name, body)
        self._board.see(deployment, of_success(choice, None))
        self._learn_pace(
            deployment, self._clock() - began, TokenUsage.from_body(answer.get("usage")).completion
        )
        return Buffered(deployment, content, answer)

    def _learn_pace(self, deployment: Deployment, seconds: float, tokens: int) -> None:
        """Of a whole answer only the end is seen: what a first token usually takes is no part of the pace."""
        usual = self._board.standing(deployment.deployment_id).health.first_token
        if seen := of_pace(seconds - usual, tokens):
            self._board.see(deployment, seen)

    def _opening(
        self,
        deployment: Deployment,
        path: str,
        body: Mapping[str, Any],
        tenant_id: str,
        deadline: float,
        *,
        bounded: bool,
        base_url: str | None = None,
    ) -> Opening:
        """`bounded`: the first token must come in time. Where nobody else could give it, it may come late."""
        endpoint = self._endpoints.of(deployment, base_url)
        encoded = encode_body(body, deployment, tenant_id=tenant_id)
        in_time = self._clock() + self.patience.first_token_seconds
        return Opening(
            endpoint=endpoint,
            path=path,
            body=encoded,
            until=min(deadline, in_time) if bounded else deadline,
            json_asked=is_json_asked(body),
        )

    def _late(self, choice: Choice) -> float | None:
        """Seconds after which the first token is late; `None`: it is not hedged."""
        model = choice.deployment.model
        if not isinstance(model, ChatModel) or not model.hedge:
            return None
        return self.health(choice.deployment).first_token_p95

    def _streaming(self, opened: Opened, pursuit: Pursuit) -> Streaming:
        deployment, board = opened.choice.deployment, self._board
        board.see(deployment, of_success(opened.choice, opened.waited))
        standing = board.standing(deployment.deployment_id)
        standing.in_flight += 1

        def ended() -> None:
            standing.in_flight -= 1

        watch = Watch(opened, patience=self.patience, deadline=pursuit.deadline, clock=self._clock)

        def learn_pace() -> None:
            if seen := of_pace(watch.seconds, watch.tokens):
                board.see(deployment, seen)

        async def learn_failure(failure: UpstreamFailure) -> None:
            await pursuit.learn(opened.choice, failure, self.patience.first_token_seconds)

        events = watch.events(learn_failure, learn_pace)
        opened.resources.callback(ended)
        opened.resources.push_async_callback(events.aclose)
        return Streaming(deployment, events, opened.resources, pursuit.tried)
