"""Requests and tokens per minute of a key, decided in one Valkey script.

Without Valkey requests pass unmetered: a limit protects a budget over minutes, and its absence for seconds
costs less than refusing what could be answered.
"""

import math
from dataclasses import dataclass
from importlib.resources import files

from redis.asyncio import Redis

from shared.errors import RateLimitError
from shared.limits.keys import Caller
from shared.valkey.client import Valkey

_SCRIPT = files(__package__).joinpath("rate.lua").read_text("utf-8")
_MINUTE_MS = 60_000
_METERS = {"r": "requests", "t": "tokens"}


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """What a key has left after this request; `None` where it has no limit."""

    requests_limit: int | None = None
    requests_left: int | None = None
    tokens_limit: int | None = None
    tokens_left: int | None = None

    def headers(self) -> dict[str, str]:
        """OpenAI's `x-ratelimit-*` headers."""
        named = {
            "x-ratelimit-limit-requests": self.requests_limit,
            "x-ratelimit-remaining-requests": self.requests_left,
            "x-ratelimit-limit-tokens": self.tokens_limit,
            "x-ratelimit-remaining-tokens": self.tokens_left,
        }
        return {name: str(value) for name, value in named.items() if value is not None}


UNMETERED = Allowance()


class RateLimiter:
    """Meters callers."""

    def __init__(self, valkey: Valkey) -> None:
        self._valkey = valkey

    async def take(self, caller: Caller, tokens: int) -> Allowance:
        """Count one request of an estimated number of tokens against the caller's limits.

        Raises:
            RateLimitError: A limit is reached; nothing was counted.
        """
        requests_limit, tokens_limit = caller.requests_per_minute or 0, caller.tokens_per_minute or 0
        if not requests_limit and not tokens_limit:
            return UNMETERED
        if tokens_limit and tokens > tokens_limit:
            raise RateLimitError(
                f"This request needs about {tokens} tokens; the key allows {tokens_limit} a minute.",
                retry_after=60,
                code="tokens",
            )

        async def run(client: Redis) -> list[int | bytes]:
            script = client.register_script(_SCRIPT)
            answer: list[int | bytes] = await script(
                keys=[_key(caller)], args=[requests_limit, tokens_limit, tokens]
            )
            return answer

        answer = await self._valkey.attempt(run)
        if answer is None:
            return UNMETERED
        allowed, meter, wait_ms, requests_left, tokens_left = answer
        if not allowed:
            raise _refusal(str(meter, "ascii") if isinstance(meter, bytes) else str(meter), int(wait_ms))
        return Allowance(
            requests_limit=caller.requests_per_minute,
            requests_left=_known(int(requests_left)),
            tokens_limit=caller.tokens_per_minute,
            tokens_left=_known(int(tokens_left)),
        )

    async def correct(self, caller: Caller, *, estimated: int, actual: int) -> None:
        """Put actual tokens in the place of those estimated by `take`."""
        if caller.tokens_per_minute and actual != estimated:
            shift = (actual - estimated) * _MINUTE_MS / caller.tokens_per_minute
            await self._valkey.attempt(lambda client: client.hincrbyfloat(_key(caller), "t", shift))


def _key(caller: Caller) -> str:
    return f"rate:{{{caller.tenant_id}:{caller.key_id}}}"


def _known(left: int) -> int | None:
    return None if left < 0 else left


def _refusal(meter: str, wait_ms: int) -> RateLimitError:
    what = _METERS[meter]
    seconds = math.ceil(wait_ms / 1000)
    return RateLimitError(
        f"The key's limit of {what} per minute is reached; try again in {seconds} s.",
        retry_after=seconds,
        code=what,
    )
