"""What is left of requests and tokens, as OpenAI's `x-ratelimit-*` headers tell it."""

from collections.abc import Iterable
from dataclasses import dataclass

_SECOND, _MINUTE, _HOUR = 1000, 60_000, 3_600_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Left:
    """What is left of one meter in one scope, and in how many milliseconds all of `limit` is there again."""

    limit: int
    left: int
    whole_in_ms: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Allowance:
    """What is left after a request, in the tightest scope of each meter; `None` where nothing is limited."""

    requests: Left | None = None
    tokens: Left | None = None

    def headers(self) -> dict[str, str]:
        """OpenAI's headers (https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers)."""
        found = {}
        for meter, left in (("requests", self.requests), ("tokens", self.tokens)):
            if left is not None:
                found[f"x-ratelimit-limit-{meter}"] = str(left.limit)
                found[f"x-ratelimit-remaining-{meter}"] = str(left.left)
                found[f"x-ratelimit-reset-{meter}"] = duration(left.whole_in_ms)
        return found


UNMETERED = Allowance()


def tightest(candidates: Iterable[Left]) -> Left | None:
    """The one of which least is left."""
    return min(candidates, key=lambda candidate: candidate.left, default=None)


def duration(milliseconds: int) -> str:
    """A length of time as OpenAI writes it: `120ms`, `8.64s`, `1m30s`, `2h0m5s`."""
    if milliseconds < _SECOND:
        return f"{milliseconds}ms"
    hours, rest = divmod(milliseconds, _HOUR)
    minutes, rest = divmod(rest, _MINUTE)
    text = f"{rest / _SECOND:g}s"
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text
