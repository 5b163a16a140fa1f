"""One request on its way to an answer: whom it asked, whom it asks next, and what the others learn of it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from shared.providers.failures import Tried, UpstreamFailure
from shared.routing.board import HealthBoard
from shared.routing.choose import Choice, View, choose
from shared.routing.health import Observed, Samples
from shared.routing.next_step import Attempt, GiveUp, elsewhere, next_step
from shared.routing.outcome import of_failure
from shared.routing.patience import Patience
from shared.routing.route import Route

R = TypeVar("R")


@dataclass(frozen=True, kw_only=True)
class Means:
    """What every pursuit of a process works with. `clock` gives seconds and never goes back."""

    board: HealthBoard
    patience: Patience
    clock: Callable[[], float]
    random: Random


class Pursuit:
    """The attempts of one request."""

    def __init__(self, means: Means, route: Route, *, deadline: float, tokens: int) -> None:
        """Args:
        means: What all requests share.
        route: Where this one can go.
        deadline: On the clock of `means`.
        tokens: Length of the answer that speed is judged by.
        """
        self.deadline = deadline
        self._means = means
        self._route = route
        self._tokens = tokens
        self._attempts: list[Attempt] = []

    @property
    def tried(self) -> tuple[Tried, ...]:
        """Who was asked and did not give the answer, in the order in which that was known."""
        return tuple(Tried(a.deployment, a.failure.kind if a.failure else "hedged") for a in self._attempts)

    async def run(self, ask: Callable[[Choice], Awaitable[R]]) -> R:
        """What `ask` gives for the first deployment that answers.

        Raises:
            UpstreamFailure: The last one's, with all that were `tried`.
        """
        await self._means.board.begin_request(self._route.deployments)
        choice = await self._first()
        while True:
            try:
                return await ask(choice)
            except UpstreamFailure as failure:
                choice = await self._next(failure)

    async def attempt(self, choice: Choice, ask: Callable[[Choice], Awaitable[R]]) -> R:
        """Ask one deployment, and note its failure.

        Raises:
            UpstreamFailure: It did not answer.
        """
        standing = self._means.board.standing(choice.deployment.deployment_id)
        standing.in_flight += 1
        began = self._means.clock()
        try:
            return await ask(choice)
        except UpstreamFailure as failure:
            self._attempts.append(Attempt(choice, failure))
            await self.learn(choice, failure, self._means.clock() - began)
            raise
        finally:
            standing.in_flight -= 1

    async def learn(self, choice: Choice, failure: UpstreamFailure, waited: float) -> None:
        """Let all processes know of a failure, where it says something of the deployment."""
        if seen := of_failure(choice, failure, waited, self._means.patience):
            await self._means.board.see_failure(choice.deployment, seen)

    def has_elsewhere(self, choice: Choice) -> bool:
        """Whether another deployment could be asked beside this one."""
        return self._elsewhere(choice) is not None

    async def rival(self, choice: Choice) -> Choice | None:
        """Another deployment to ask beside this one, where the retry budget and its breaker allow that."""
        rival = self._elsewhere(choice)
        if rival is None or rival.probe or not await self._means.board.take_retry():
            return None
        return rival

    def lost(self, choice: Choice, waited: float) -> None:
        """Note that another was faster than this one, which has waited so long."""
        self._attempts.append(Attempt(choice, None))
        self._means.board.see(choice.deployment, Observed(first_token=Samples(1, waited)))

    async def _first(self) -> Choice:
        choice = choose(self._route, self._view())
        while choice is not None and not await self._granted(choice):
            choice = choose(self._route, self._view())
        assert choice is not None  # noqa: S101 - nothing was tried yet, and a route is never empty
        return choice

    async def _next(self, failure: UpstreamFailure) -> Choice:
        """Whom to ask after this failure.

        Raises:
            UpstreamFailure: This one: nobody is left, or the retry budget is used up.
        """
        paid = False
        while True:
            step = next_step(
                self._attempts[-1].failure or failure,
                self._attempts,
                self._route,
                self._view(),
                deadline=self.deadline,
                patience=self._means.patience,
            )
            paid = paid or (not isinstance(step, GiveUp) and await self._means.board.take_retry())
            if isinstance(step, GiveUp) or not paid:
                failure.tried = self.tried
                raise failure
            if step.after_seconds:
                await asyncio.sleep(step.after_seconds)
            if await self._granted(step.choice):
                return step.choice

    async def _granted(self, choice: Choice) -> bool:
        return choice.why != "probe" or await self._means.board.take_probe(choice.deployment)

    def _elsewhere(self, choice: Choice) -> Choice | None:
        under_way = (*self._attempts, Attempt(choice, None))
        return elsewhere(under_way, self._route, self._view(), tier=choice.tier)

    def _view(self) -> View:
        means = self._means
        return View(
            standings=means.board.standings, now=means.clock(), tokens=self._tokens, random=means.random
        )
