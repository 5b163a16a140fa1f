"""What Weir asks of models beside an answer: one call, timed, and billed to whom it is for."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.providers.catalog import Deployment
from shared.providers.tokens import TokenUsage
from shared.routing.payer import AsideCall, Payer, Till
from shared.routing.route import Route
from shared.routing.router import Router


@dataclass(frozen=True, kw_only=True)
class Answered:
    """An answer's body, who gave it, and how long it took."""

    body: Mapping[str, Any]
    deployment: Deployment
    started: datetime
    duration_ms: int

    @property
    def usage(self) -> TokenUsage:
        """As the provider reports it; nothing if it does not."""
        return TokenUsage.from_body(self.body.get("usage") or {})


@dataclass(frozen=True)
class Aside:
    """Asks and pays, for one payer. `seconds`: how long a call may take."""

    router: Router
    till: Till
    payer: Payer
    clock: Callable[[], datetime]
    seconds: float

    async def ask(self, route: Route, path: str, body: Mapping[str, Any]) -> Answered:
        """The answer; pay for it.

        Raises:
            UpstreamFailure: No deployment answered.
        """
        started, begun = self.clock(), time.monotonic()
        answer = await self.router.send(
            route, path, body, tenant_id=self.payer.tenant_id, deadline=begun + self.seconds
        )
        return Answered(
            body=answer.answer,
            deployment=answer.deployment,
            started=started,
            duration_ms=int((time.monotonic() - begun) * 1000),
        )

    async def pay(self, request_id: str, answer: Answered, usage: TokenUsage, *, estimated: bool) -> None:
        """Bill an answer. `estimated`: the provider reported no usage."""
        call = AsideCall(
            request_id=request_id,
            deployment=answer.deployment,
            usage=usage,
            estimated=estimated,
            started=answer.started,
            duration_ms=answer.duration_ms,
        )
        await self.till.pay(self.payer, call)
