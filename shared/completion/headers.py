"""Headers of an answer: who gave it, and what the key has left."""

from shared.completion.call import Admitted, RequestT
from shared.providers.catalog import Deployment


def answer_headers(admitted: Admitted[RequestT], deployment: Deployment) -> dict[str, str]:
    """`x-weir-*` and `x-ratelimit-*`."""
    return {
        "x-weir-provider": deployment.provider.name,
        "x-weir-model": deployment.model.name,
        **admitted.allowance.headers(),
    }
