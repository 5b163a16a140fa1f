"""Last step: actual tokens take the place of the estimate, and one usage record goes to the ledger."""

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from shared.completion.call import Admitted, RequestT
from shared.completion.request import ChatRequest
from shared.completion.services import Services
from shared.ledger.prices import cost_microdollars
from shared.ledger.usage import CacheOutcome, Leg, Outcome, UsageRecord
from shared.providers.catalog import Deployment
from shared.providers.failures import FailureKind, Tried
from shared.providers.tokens import TokenUsage

_NONE = TokenUsage()


@dataclass(frozen=True)
class UpstreamCall:
    """One call to a provider: who was asked, the tokens it used, and how it failed, if it did."""

    deployment: Deployment
    usage: TokenUsage = _NONE
    failure: FailureKind | Literal["hedged"] | None = None

    def leg(self, outcome: Outcome, at: datetime) -> Leg:
        """As the ledger shows it; `outcome` is that of a call which neither failed nor was given up."""
        hedged, usage = self.failure == "hedged", self.usage
        failed = self.failure is not None and not hedged
        return Leg(
            provider=self.deployment.provider.name,
            model=self.deployment.model.name,
            outcome="hedged" if hedged else "failed" if failed else outcome,
            failure=self.failure if failed else "broken" if outcome == "failed" and not hedged else None,
            prompt_tokens=usage.prompt,
            cached_tokens=usage.cached,
            completion_tokens=usage.completion,
            reasoning_tokens=usage.reasoning,
            cost_microdollars=self.cost_microdollars(at),
        )

    def cost_microdollars(self, at: datetime) -> int:
        """What it costs at the prices of that moment."""
        return cost_microdollars(
            self.deployment.model.price,
            prompt_tokens=self.usage.prompt,
            cached_tokens=self.usage.cached,
            completion_tokens=self.usage.completion,
            at=at,
        )


@dataclass(frozen=True, kw_only=True)
class Settlement:
    """How a call ended.

    `calls` are the upstream calls it took, in order, the one that answered last; each is billed once.
    `estimated`: a provider reported no usage, so Weir's estimate stands for it. `spared`: another paid, or
    nobody had to, so the tokens cost nothing.
    """

    calls: tuple[UpstreamCall, ...]
    estimated: bool
    outcome: Outcome
    cache_outcome: CacheOutcome
    first_token_ms: int | None = None
    spared: bool = False


async def settle(services: Services, admitted: Admitted[RequestT], settlement: Settlement) -> None:
    """Settle what was reserved and send the usage record. Never raises for a helper that is gone."""
    record = _record(admitted, settlement)
    tokens = 0 if settlement.spared else record.prompt_tokens + record.completion_tokens
    await services.background.afterwards(
        services.limiter.settle(
            admitted.reservation, tokens=tokens, cost_microdollars=record.cost_microdollars
        )
    )
    await services.outbox.put(record)


def _record(admitted: Admitted[RequestT], settlement: Settlement) -> UsageRecord:
    call, calls = admitted.call, settlement.calls
    last = calls[-1].deployment
    cost = sum(c.cost_microdollars(call.started) for c in calls)
    # One call that went well is the row itself.
    shown = not settlement.spared and (len(calls) > 1 or settlement.outcome == "failed")
    legs = tuple(c.leg(settlement.outcome, call.started) for c in calls) if shown else ()
    return UsageRecord(
        tenant_id=call.caller.tenant_id,
        request_id=call.request_id,
        key_id=call.caller.key_id,
        endpoint=call.endpoint,
        model=last.model.name,
        provider=last.provider.name,
        prompt_tokens=sum(c.usage.prompt for c in calls),
        cached_tokens=sum(c.usage.cached for c in calls),
        completion_tokens=sum(c.usage.completion for c in calls),
        reasoning_tokens=sum(c.usage.reasoning for c in calls),
        cost_microdollars=0 if settlement.spared else cost,
        saved_microdollars=cost if settlement.spared else 0,
        legs=legs,
        cache_outcome=settlement.cache_outcome,
        outcome=settlement.outcome,
        estimated=settlement.estimated,
        duration_ms=elapsed_ms(call.started_monotonic),
        first_token_ms=settlement.first_token_ms,
        created_at=call.started,
    )


def abandoned(admitted: Admitted[ChatRequest]) -> Settlement:
    """The end of a call whose caller left before a token came: the provider has read the prompt at most."""
    prompt = admitted.call.request.estimated_prompt_tokens
    return Settlement(
        calls=(UpstreamCall(admitted.asked, TokenUsage(prompt=prompt)),),
        estimated=True,
        outcome="cancelled",
        cache_outcome="off",
    )


def elapsed_ms(since: float) -> int:
    """Milliseconds since a reading of the monotonic clock."""
    return int((time.monotonic() - since) * 1000)


def asked_before(tried: tuple[Tried, ...]) -> tuple[UpstreamCall, ...]:
    """The calls that came to nothing before another answered; a provider charges for none of them."""
    return tuple(UpstreamCall(t.deployment, failure=t.kind) for t in tried)
