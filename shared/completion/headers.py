"""Headers of an answer: who gave it, and what the key has left."""

from shared.completion.call import Admitted, RequestT
from shared.ledger.usage import CacheOutcome


def answer_headers(
    admitted: Admitted[RequestT], provider: str, model: str, cache_outcome: CacheOutcome
) -> dict[str, str]:
    """`x-weir-*` and `x-ratelimit-*`; `provider` and `model` are those that really answered."""
    cache = {} if cache_outcome == "off" else {"x-weir-cache": cache_outcome}
    return {
        "x-weir-provider": provider,
        "x-weir-model": model,
        **cache,
        **admitted.reservation.allowance.headers(),
    }
