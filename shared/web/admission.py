"""Whether, and when, a host lets a page be visited."""

from dataclasses import dataclass

from shared.web.answer import FetchFailedError, FetchRefusedError
from shared.web.politeness import GivenUp, Later, Pace, Politeness, Turn
from shared.web.robots import Robots
from shared.web.urls import host_of


@dataclass(frozen=True, kw_only=True)
class Admission:
    """Asks robots.txt, then takes a turn. `pace` is for hosts that ask for nothing else."""

    robots: Robots
    politeness: Politeness
    pace: Pace

    async def ask(self, url: str) -> Turn | Later:
        """A turn at the host of `url`, which is normalised; end it after the visit. Or when to come back.

        Raises:
            FetchRefusedError: robots.txt disallows it, or the host is not one to fetch from.
            FetchFailedError: robots.txt cannot be read now, or the host has not answered for long.
        """
        ruling = await self.robots.ruling(url)
        if not ruling.allowed:
            raise FetchRefusedError("robots.txt disallows it")
        pace = self.pace
        if ruling.crawl_delay > 0:
            pace = Pace(delay=max(pace.delay, ruling.crawl_delay), at_once=1, strict=True)
        turn = await self.politeness.take(host_of(url), pace)
        if isinstance(turn, GivenUp):
            raise FetchFailedError("its host has not answered many times in a row", transient=False)
        return turn
