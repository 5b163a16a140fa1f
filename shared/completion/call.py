"""One call on its way through the pipeline."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

from shared.completion.request import ChatRequest, EmbeddingsRequest
from shared.limits.keys import Caller
from shared.limits.rate import Allowance
from shared.providers.catalog import Deployment

RequestT = TypeVar("RequestT", ChatRequest, EmbeddingsRequest)

# As the ledger names them.
EndpointName = Literal["/v1/chat/completions", "/v1/embeddings"]


@dataclass(frozen=True, kw_only=True)
class Call(Generic[RequestT]):
    """What came in: who asks, the body as decoded and as validated, and when.

    `started` is the wall clock (for prices and the ledger), `started_monotonic` the one that measures.
    """

    request_id: str
    endpoint: EndpointName
    caller: Caller
    body: Mapping[str, Any]
    request: RequestT
    started: datetime
    started_monotonic: float


@dataclass(frozen=True, kw_only=True)
class Admitted(Generic[RequestT]):
    """A call that may go on: who could answer it, the tokens counted for it, what the key has left."""

    call: Call[RequestT]
    deployments: tuple[Deployment, ...]
    estimated_tokens: int
    allowance: Allowance
