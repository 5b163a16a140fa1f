"""How a request uses the cache: as it says itself, else as its key says, else as the settings say."""

from dataclasses import dataclass

from shared.completion.call import Call
from shared.completion.request import ChatRequest
from shared.limits.limits import CacheMode


@dataclass(frozen=True, kw_only=True)
class Caching:
    """`ttl_seconds`: how long the answer may be given again.

    `error_bound`: the share of answers by meaning that may be wrong.
    """

    mode: CacheMode
    ttl_seconds: int
    error_bound: float = 0.02


def caching_of(call: Call[ChatRequest], default: Caching) -> Caching:
    """The policy of one request."""
    asked, key = call.request.weir.cache, call.caller.cache
    return Caching(
        mode=asked.mode or key.mode or default.mode,
        ttl_seconds=asked.ttl or key.ttl_seconds or default.ttl_seconds,
        error_bound=asked.error_bound or default.error_bound,
    )
