"""Hedging: when a first token is late, another deployment is asked too, and the first to speak answers."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from shared.routing.choose import Choice
from shared.routing.opening import Opened
from shared.routing.pursuit import Pursuit


@dataclass(frozen=True, eq=False)
class _Entrant:
    """One of those who were asked, and since when."""

    choice: Choice
    task: asyncio.Task[Opened]
    began: float

    @property
    def failed(self) -> bool:
        return self.task.done() and (self.task.cancelled() or self.task.exception() is not None)


async def first_to_speak(
    pursuit: Pursuit,
    choice: Choice,
    open_: Callable[[Choice], Awaitable[Opened]],
    *,
    after_seconds: float,
    clock: Callable[[], float],
) -> Opened:
    """The stream of `choice`, or of a rival that is asked when nothing has come after so many seconds.

    The loser's call has ended when this returns, and `pursuit` knows of it.

    Raises:
        UpstreamFailure: None of them answered; the last one's.
    """

    def enter(choice: Choice) -> _Entrant:
        return _Entrant(choice, asyncio.ensure_future(open_(choice)), clock())

    entrants = [enter(choice)]
    winner: _Entrant | None = None
    try:
        done, _ = await asyncio.wait([entrants[0].task], timeout=after_seconds)
        if not done and (rival := await pursuit.rival(choice)) is not None:
            entrants.append(enter(rival))
        winner = await _first_success(entrants)
        return winner.task.result()
    finally:
        losers = [entrant for entrant in entrants if entrant is not winner and not entrant.failed]
        await _end(losers)
        if winner is not None:
            for loser in losers:
                pursuit.lost(loser.choice, clock() - loser.began)


async def _first_success(entrants: Sequence[_Entrant]) -> _Entrant:
    """Who speaks first; the last one to fail, when all do."""
    left = list(entrants)
    while True:
        await asyncio.wait([entrant.task for entrant in left], return_when=asyncio.FIRST_COMPLETED)
        for entrant in [entrant for entrant in left if entrant.task.done()]:
            if not entrant.failed or len(left) == 1:
                return entrant
            left.remove(entrant)


async def _end(losers: Sequence[_Entrant]) -> None:
    """End calls that are not wanted any more, also one that began to speak just now."""
    for loser in losers:
        loser.task.cancel()
    if losers:
        await asyncio.wait([loser.task for loser in losers])
    for loser in losers:
        if not loser.failed:
            await loser.task.result().resources.aclose()
