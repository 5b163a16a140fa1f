"""What one request used and what it cost: the message to accounting, and the row of the ledger."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

Outcome = Literal["completed", "failed", "cancelled"]
CacheOutcome = Literal["hit", "semantic", "joined", "miss", "off"]

# PostgreSQL's text cannot hold a NUL, and an empty name says nothing.
Name = Annotated[str, Field(min_length=1, max_length=512, pattern=r"^[^\x00]+$")]
Tokens = Annotated[int, Field(ge=0, le=2**63 - 1)]
Milliseconds = Annotated[int, Field(ge=0, le=2**31 - 1)]


class UsageRecord(BaseModel):
    """One request; the fields are the columns of `usage_records`. `(tenant_id, request_id)` is its identity.

    `prompt_tokens` includes `cached_tokens`, and `completion_tokens` includes `reasoning_tokens`, as in
    OpenAI's usage object. `provider` and `model` are those that really answered. `estimated` says that the
    tokens were estimated here because the provider reported none. `first_token_ms` is `None` where nothing
    was streamed.
    """

    model_config = ConfigDict(frozen=True)

    tenant_id: Name
    request_id: Name
    key_id: Name
    endpoint: Name
    model: Name
    provider: Name
    prompt_tokens: Tokens
    cached_tokens: Tokens = 0
    completion_tokens: Tokens
    reasoning_tokens: Tokens = 0
    cost_microdollars: Tokens
    cache_outcome: CacheOutcome
    outcome: Outcome
    estimated: bool = False
    duration_ms: Milliseconds
    first_token_ms: Milliseconds | None = None
    created_at: AwareDatetime


class UsageBatch(BaseModel):
    """The message to accounting: the records that gathered while the one before was sent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    records: Annotated[tuple[UsageRecord, ...], Field(min_length=1)]
