"""Headers of an answer: who gave it, what came of its sources, and what the key has left."""

from shared.completion.call import Admitted, RequestT
from shared.completion.compose import Composed
from shared.ledger.usage import CacheOutcome

# A provider's refusal may say much.
_LONGEST_ERROR = 500


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


def chat_headers(
    composed: Composed, provider: str, model: str, cache_outcome: CacheOutcome
) -> dict[str, str]:
    """The same of a chat, and where reranking was asked for, `x-weir-reranked` and `x-weir-rerank-error`.

    They are no part of the answer itself, which may be given again to whom the reranker did or did not serve.
    """
    headers = answer_headers(composed.admitted, provider, model, cache_outcome)
    if reranking := composed.reranking:
        headers["x-weir-reranked"] = "true" if reranking.done else "false"
        if reranking.error:
            headers["x-weir-rerank-error"] = _printable(reranking.error)
    return headers


def _printable(text: str) -> str:
    """As a header can hold it (RFC 9110, 5.5): ASCII, without control characters."""
    return ascii(text)[1:-1][:_LONGEST_ERROR].strip()
