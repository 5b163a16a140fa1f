"""Asks what one line asks, through the same pipeline as live requests."""

import secrets
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict

from shared.batch.callers import all_batches
from shared.batch.lines import Request
from shared.batch.means import Means
from shared.batch.models import Batch, Endpoint
from shared.batch.pace import Verdict, verdict_on
from shared.batch.result_lines import answered, refused
from shared.batch.results import Line
from shared.completion.admit import route_of
from shared.completion.answer import BufferedAnswer
from shared.completion.call import Call, EndpointName
from shared.completion.demand import LEASE_SECONDS, demand_of, embeddings_demand
from shared.completion.embeddings import embed
from shared.completion.pipeline import complete
from shared.completion.request import ChatRequest, EmbeddingsRequest
from shared.errors import BudgetError, WeirError
from shared.limits.caller import Caller
from shared.limits.limits import UNLIMITED, Demand
from shared.limits.refusals import impossible
from shared.limits.scopes import limited_scopes
from shared.routing.route import Route

# Under which endpoint the ledger has a line, so that reports can group what batches cost.
_MARKED: dict[Endpoint, EndpointName] = {
    "/v1/chat/completions": "/v1/chat/completions#batch",
    "/v1/embeddings": "/v1/embeddings#batch",
}


class UnexpectedError(WeirError):
    """500: a line could not be answered for a reason that only the log knows."""


class _Fields(TypedDict):
    request_id: str
    endpoint: EndpointName
    caller: Caller
    body: Mapping[str, Any]
    body_bytes: int
    started: datetime
    started_monotonic: float


@dataclass(frozen=True)
class NotAnswered:
    """No result yet, and why; `verdict` is `again` or `wait`."""

    error: WeirError
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class Asking:
    """Asks the lines of one batch in the name of its key."""

    means: Means
    batch: Batch
    caller: Caller

    async def ask(self, number: int, request: Request, body_bytes: int, tries: int) -> Line | NotAnswered:
        """The line with its result, or why it has none yet. After enough `tries` an error is a result."""
        request_id = f"batch_req_{self.batch.batch_id.removeprefix('batch_')}_{number}-{secrets.token_hex(4)}"
        call = self._call(request_id, request.request, request.body, body_bytes)
        try:
            async with self._own_room(request_id, request):
                answer = await self._answer(call)
        except WeirError as error:
            verdict = self._verdict(call, error)
            if verdict == "wait" or (verdict == "again" and tries < self.means.rules.tries):
                return NotAnswered(error, verdict)
            result = refused(self.batch.batch_id, number, request.custom_id, request_id, error)
            return Line(number=number, custom_id=request.custom_id, status="failed", result=result)
        result = answered(self.batch.batch_id, number, request.custom_id, request_id, answer.content)
        return Line(number=number, custom_id=request.custom_id, status="completed", result=result)

    def _call(
        self, request_id: str, request: ChatRequest | EmbeddingsRequest, body: Mapping[str, Any], length: int
    ) -> Call[ChatRequest] | Call[EmbeddingsRequest]:
        fields: _Fields = {
            "request_id": request_id,
            "endpoint": _MARKED[self.batch.endpoint],
            "caller": self.caller,
            "body": body,
            "body_bytes": length,
            "started": self.means.clock(),
            "started_monotonic": time.monotonic(),
        }
        if isinstance(request, EmbeddingsRequest):
            return Call(request=request, **fields)
        return Call(request=request, **fields)

    async def _answer(self, call: Call[ChatRequest] | Call[EmbeddingsRequest]) -> BufferedAnswer:
        try:
            if isinstance(call.request, EmbeddingsRequest):
                return await embed(self.means.services, call)
            answer = await complete(self.means.services, call)
        except WeirError:
            raise
        except Exception as error:
            # One line must not keep the others from their results; it is tried again, then fails alone.
            self.means.log.exception("a line failed", extra={"request_id": call.request_id})
            raise UnexpectedError("This request failed inside Weir; try it by itself.") from error
        assert isinstance(answer, BufferedAnswer)  # noqa: S101 - streams are refused when the file is read
        return answer

    @asynccontextmanager
    async def _own_room(self, request_id: str, request: Request) -> AsyncIterator[None]:
        """Room within the limits of all batches of the tenant.

        Raises:
            RateLimitError: There is none now.
        """
        services, limits = self.means.services, self.means.rules.own_limits
        tokens = request.request.estimated_tokens
        reservation = await services.limiter.reserve(
            all_batches(self.batch.tenant_id, limits),
            f"{request_id}-own",
            request.request.model,
            UNLIMITED,
            Demand(tokens=tokens, cost_microdollars=0, lease_seconds=LEASE_SECONDS),
            self.means.clock(),
        )
        try:
            yield
        finally:
            await services.limiter.settle(reservation, tokens=tokens, cost_microdollars=0)

    def _verdict(self, call: Call[ChatRequest] | Call[EmbeddingsRequest], error: WeirError) -> Verdict:
        if isinstance(error, UnexpectedError):
            return "again"
        if isinstance(error, BudgetError) and self._never_fits(call):
            return "final"
        return verdict_on(error)

    def _never_fits(self, call: Call[ChatRequest] | Call[EmbeddingsRequest]) -> bool:
        """Whether the line alone may cost more than a whole budget."""
        services = self.means.services
        if isinstance(call.request, EmbeddingsRequest):
            route = Route.of(services.models.embedding(call.request.model))
            demand = embeddings_demand(call, route.deployments)
        else:
            route = route_of(services, call.request)
            demand = demand_of(call, route.deployments, prompt_ratio=1.0)
        row = route.tiers[0][0].model
        scopes = limited_scopes(call.caller, row.name, row.limits)
        return any(impossible(scope, demand, call.started) is not None for scope in scopes)
