"""How a batch makes way: what a failed call means for its line, and for how long the batch pauses. Pure."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from shared.errors import RateLimitError, UnavailableError, UpstreamError, WeirError

# The longest that a batch pauses at once; then it looks again.
_LONGEST_PAUSE = 300.0
_FIRST_PAUSE = 2.0

# So many calls in a row that failed upstream are an outage, and no reason to go on calling.
_OUTAGE = 3

# What SQS delays a message by at most.
LONGEST_DELAY = 900

# `final`: the line's answer is this error. `again`: the line is tried again, so often. `wait`: the batch
# pauses, and the line has lost nothing.
Verdict = Literal["final", "again", "wait"]


def verdict_on(error: WeirError) -> Verdict:
    """What an error that a line got says of the line."""
    match error:
        case RateLimitError():
            # One that no waiting helps with is over a whole limit by itself: a limit of money that is used up
            # is renewed one day.
            return "wait" if error.should_retry or error.error_code == "insufficient_quota" else "final"
        case UnavailableError():
            return "wait"
        case UpstreamError():
            return "again"
    return "final"


class Run:
    """How the calls of one run of a chunk go, one after another."""

    def __init__(self) -> None:
        self.answered = False
        self._failed_in_a_row = 0
        self._wanted: float | None = None

    def completed(self) -> None:
        """A call was answered."""
        self.answered = True
        self._failed_in_a_row = 0

    def failed(self, error: WeirError, verdict: Verdict) -> None:
        """A call came to nothing."""
        if verdict == "wait":
            asked = error.retry_after if isinstance(error, RateLimitError) else 0.0
            self._wanted = max(self._wanted or 0.0, asked)
        elif verdict == "again":
            self._failed_in_a_row += 1
            if self._failed_in_a_row >= _OUTAGE:
                self._wanted = self._wanted or 0.0

    @property
    def pause(self) -> float | None:
        """Seconds that were asked for, 0 if none were; `None`: there is no reason to pause."""
        return self._wanted


@dataclass(frozen=True)
class Pause:
    """Until when a batch pauses, and how many pauses in a row that makes."""

    until: datetime
    count: int


def pause_from(now: datetime, asked_seconds: float, shortest: float, count: int) -> Pause:
    """The next pause: as long as was asked for, and at least twice as long as the one before."""
    seconds = max(asked_seconds, doubled(shortest, count).total_seconds())
    return Pause(now + timedelta(seconds=min(_LONGEST_PAUSE, seconds)), count + 1)


def doubled(shortest: float, times: int) -> timedelta:
    """So many seconds, doubled so often, up to the longest pause."""
    return timedelta(seconds=min(_LONGEST_PAUSE, shortest * 2.0 ** min(times, 20)))


def delay_until(moment: datetime, now: datetime, *, spread: float = 0.0) -> int:
    """Whole seconds until a moment, for a message; `spread` from 0 to 1 puts it off by up to half of that."""
    seconds = (moment - now).total_seconds()
    return min(LONGEST_DELAY, max(0, math.ceil(seconds * (1 + spread / 2))))
