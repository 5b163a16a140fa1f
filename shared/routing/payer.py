"""Bills what Weir asks of models beside an answer, such as embeddings: a row of the ledger for each call."""

from dataclasses import dataclass
from datetime import datetime

from shared.ledger.outbox import UsageOutbox
from shared.ledger.prices import cost_microdollars
from shared.ledger.usage import UsageRecord
from shared.limits.caller import Caller
from shared.limits.limiter import Limiter
from shared.providers.catalog import Deployment
from shared.providers.tokens import TokenUsage


@dataclass(frozen=True)
class Payer:
    """Whom a call is billed to, and for what: `endpoint` is how the ledger names the work.

    `caller`: whose budgets pay for it; `None` where no key asked.
    """

    tenant_id: str
    key_id: str
    endpoint: str
    caller: Caller | None = None

    @classmethod
    def of(cls, caller: Caller, endpoint: str) -> "Payer":
        """A key, and its tenant."""
        return cls(caller.tenant_id, caller.key_id, endpoint, caller)


@dataclass(frozen=True, kw_only=True)
class AsideCall:
    """One call that was answered. `estimated`: the provider reported no usage, and Weir's estimate stands."""

    request_id: str
    deployment: Deployment
    usage: TokenUsage
    estimated: bool
    started: datetime
    duration_ms: int


@dataclass(frozen=True)
class Till:
    """Where calls are paid: the ledger, and the budgets of the payer's `caller` where there is a limiter."""

    outbox: UsageOutbox
    limiter: Limiter | None

    async def pay(self, payer: Payer, call: AsideCall) -> None:
        """Bill one call."""
        model, usage = call.deployment.model, call.usage
        cost = cost_microdollars(
            model.price,
            prompt_tokens=usage.prompt,
            cached_tokens=usage.cached,
            completion_tokens=usage.completion,
            at=call.started,
        )
        record = UsageRecord(
            tenant_id=payer.tenant_id,
            request_id=call.request_id,
            key_id=payer.key_id,
            endpoint=payer.endpoint,
            model=model.name,
            provider=call.deployment.provider.name,
            prompt_tokens=usage.prompt,
            cached_tokens=usage.cached,
            completion_tokens=usage.completion,
            reasoning_tokens=usage.reasoning,
            cost_microdollars=cost,
            cache_outcome="off",
            outcome="completed",
            estimated=call.estimated,
            duration_ms=call.duration_ms,
            created_at=call.started,
        )
        await self.outbox.put(record)
        if self.limiter and payer.caller:
            await self.limiter.charge(
                payer.caller, record.request_id, record.model, model.limits, cost, call.started
            )
