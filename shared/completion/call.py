"""One call on its way through the pipeline."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

from shared.completion.request import ChatRequest, EmbeddingsRequest
from shared.limits.caller import Caller
from shared.limits.reservation import Reservation
from shared.providers.catalog import Deployment
from shared.routing.route import Route

RequestT = TypeVar("RequestT", ChatRequest, EmbeddingsRequest)

# As the ledger names them.
EndpointName = Literal[
    "/v1/chat/completions", "/v1/embeddings", "/v1/chat/completions#batch", "/v1/embeddings#batch"
]


@dataclass(frozen=True, kw_only=True)
class Call(Generic[RequestT]):
    """What came in: who asks, the body as decoded and as validated, and when.

    `body_bytes` is the body's length as it came. `started` is the wall clock (for prices and the ledger),
    `started_monotonic` the one that measures.
    """

    request_id: str
    endpoint: EndpointName
    caller: Caller
    body: Mapping[str, Any]
    body_bytes: int
    request: RequestT
    started: datetime
    started_monotonic: float


@dataclass(frozen=True, kw_only=True)
class Admitted(Generic[RequestT]):
    """A call that may go on: who could answer it, until when (monotonic), and what is reserved for it."""

    call: Call[RequestT]
    route: Route
    reservation: Reservation
    deadline: float

    @property
    def asked(self) -> Deployment:
        """The first deployment of the model that was asked for."""
        return self.route.tiers[0][0]
