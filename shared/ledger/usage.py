"""What one request used and what it cost: the message to accounting, and the row of the ledger."""

from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

Outcome = Literal["completed", "failed", "cancelled"]
LegOutcome = Literal["completed", "failed", "cancelled", "hedged"]
CacheOutcome = Literal["hit", "semantic", "joined", "miss", "off"]

# PostgreSQL's text cannot hold a NUL, and an empty name says nothing.
Name = Annotated[str, Field(min_length=1, max_length=512, pattern=r"^[^\x00]+$")]
Tokens = Annotated[int, Field(ge=0, le=2**63 - 1)]
Milliseconds = Annotated[int, Field(ge=0, le=2**31 - 1)]


class Consumption(BaseModel):
    """Tokens and what they cost, in millionths of a US dollar.

    `prompt_tokens` includes `cached_tokens`, and `completion_tokens` includes `reasoning_tokens`, as in
    OpenAI's usage object.
    """

    model_config = ConfigDict(frozen=True)

    prompt_tokens: Tokens
    cached_tokens: Tokens = 0
    completion_tokens: Tokens
    reasoning_tokens: Tokens = 0
    cost_microdollars: Tokens


class Leg(Consumption):
    """One upstream call of a request. A call that a provider does not charge for used nothing.

    `failure` is why it failed, in the words of `shared.providers.failures`, and there if and only if it did.
    `hedged`: another call for the same request was faster, and this one was given up.
    """

    provider: Name
    model: Name
    outcome: LegOutcome
    failure: Name | None = None
    prompt_tokens: Tokens = 0
    completion_tokens: Tokens = 0
    cost_microdollars: Tokens = 0

    @model_validator(mode="after")
    def _failed_for_a_reason(self) -> Self:
        if (self.outcome == "failed") != (self.failure is not None):
            raise ValueError("a leg has a 'failure' if and only if its outcome is 'failed'")
        return self


class UsageRecord(Consumption):
    """One request; the fields are the columns of `usage_records`. `(tenant_id, request_id)` is its identity.

    `provider` and `model` are those that really answered. `legs` are the upstream calls that it took, in the
    order in which they were begun; where there are any, the row's tokens and cost are their sums. An answer
    that nobody was paid for has none, its tokens all the same, and in `saved_microdollars` what these would
    have cost at the price in force. `estimated` says that the tokens were estimated here because the provider
    reported none. `first_token_ms` is `None` where nothing was streamed.
    """

    tenant_id: Name
    request_id: Name
    key_id: Name
    endpoint: Name
    model: Name
    provider: Name
    saved_microdollars: Tokens = 0
    legs: tuple[Leg, ...] = ()
    cache_outcome: CacheOutcome
    outcome: Outcome
    estimated: bool = False
    duration_ms: Milliseconds
    first_token_ms: Milliseconds | None = None
    created_at: AwareDatetime

    @model_validator(mode="after")
    def _legs_add_up(self) -> Self:
        if self.legs:
            total = total_of(self.legs)
            for name in Consumption.model_fields:
                if getattr(self, name) != getattr(total, name):
                    raise ValueError(f"'{name}' is not the sum of the legs'")
        return self


class UsageBatch(BaseModel):
    """The message to accounting: the records that gathered while the one before was sent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    records: Annotated[tuple[UsageRecord, ...], Field(min_length=1)]


def total_of(parts: Iterable[Consumption]) -> Consumption:
    """What the parts used together; of none, nothing."""
    parts = tuple(parts)
    return Consumption(
        prompt_tokens=sum(part.prompt_tokens for part in parts),
        cached_tokens=sum(part.cached_tokens for part in parts),
        completion_tokens=sum(part.completion_tokens for part in parts),
        reasoning_tokens=sum(part.reasoning_tokens for part in parts),
        cost_microdollars=sum(part.cost_microdollars for part in parts),
    )
