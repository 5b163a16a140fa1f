"""Last step: actual tokens take the place of the estimate, and one usage record goes to the ledger."""

import time
from dataclasses import dataclass

from shared.completion.call import Admitted, RequestT
from shared.completion.request import ChatRequest
from shared.completion.services import Services
from shared.ledger.prices import cost_microdollars
from shared.ledger.usage import CacheOutcome, Outcome, UsageRecord
from shared.providers.catalog import Deployment
from shared.providers.tokens import TokenUsage


@dataclass(frozen=True, kw_only=True)
class Settlement:
    """How a call ended. `estimated`: the provider reported no usage, so `usage` is Weir's estimate."""

    deployment: Deployment
    usage: TokenUsage
    estimated: bool
    outcome: Outcome
    cache_outcome: CacheOutcome
    first_token_ms: int | None = None


async def settle(services: Services, admitted: Admitted[RequestT], settlement: Settlement) -> None:
    """Correct the caller's limits and send the usage record. Never raises for a helper that is gone."""
    call, usage = admitted.call, settlement.usage
    await services.limiter.correct(call.caller, estimated=admitted.estimated_tokens, actual=usage.total)
    model = settlement.deployment.model
    await services.outbox.put(
        UsageRecord(
            tenant_id=call.caller.tenant_id,
            request_id=call.request_id,
            key_id=call.caller.key_id,
            endpoint=call.endpoint,
            model=model.name,
            provider=settlement.deployment.provider.name,
            prompt_tokens=usage.prompt,
            cached_tokens=usage.cached,
            completion_tokens=usage.completion,
            reasoning_tokens=usage.reasoning,
            cost_microdollars=cost_microdollars(
                model.price,
                prompt_tokens=usage.prompt,
                cached_tokens=usage.cached,
                completion_tokens=usage.completion,
                at=call.started,
            ),
            cache_outcome=settlement.cache_outcome,
            outcome=settlement.outcome,
            estimated=settlement.estimated,
            duration_ms=elapsed_ms(call.started_monotonic),
            first_token_ms=settlement.first_token_ms,
            created_at=call.started,
        )
    )


def abandoned(admitted: Admitted[ChatRequest]) -> Settlement:
    """The end of a call whose caller left before a token came: the provider has read the prompt at most."""
    prompt = admitted.call.request.estimated_prompt_tokens
    return Settlement(
        deployment=admitted.deployments[0],
        usage=TokenUsage(prompt=prompt),
        estimated=True,
        outcome="cancelled",
        cache_outcome="off",
    )


def elapsed_ms(since: float) -> int:
    """Milliseconds since a reading of the monotonic clock."""
    return int((time.monotonic() - since) * 1000)
