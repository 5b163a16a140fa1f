"""What the batch function reads from the environment."""

from datetime import timedelta
from decimal import Decimal
from typing import Annotated

from pydantic import Field, PositiveFloat, PositiveInt

from shared.batch.means import BatchRules
from shared.limits.limits import Limits
from shared.settings import BatchQueueSettings, CompletionSettings, Settings, StorageSettings

Factor = Annotated[Decimal, Field(ge=0, le=1)]


class RuleSettings(Settings):
    """Bounds of batches; docs/batch.md has them in a table.

    `batch_lines_at_once`: lines that one process asks at a time. `batch_price_factor`: what a line costs of
    what a live request costs, by models whose price in the catalog says no `batch`. The limits are of all
    batches of a tenant together.
    """

    batch_line_limit: PositiveInt = 50_000
    batch_file_bytes: PositiveInt = 200 * 2**20
    batch_line_bytes: PositiveInt = 10 * 2**20
    batch_chunk_lines: PositiveInt = 50
    batch_chunk_bytes: PositiveInt = 2**20
    batch_window: PositiveInt = 8
    batch_lines_at_once: PositiveInt = 16
    batch_tries: PositiveInt = 20
    batch_pause_seconds: PositiveFloat = 2.0
    batch_lease_seconds: PositiveInt = 30
    batch_requests_per_minute: PositiveInt | None = None
    batch_tokens_per_minute: PositiveInt | None = None
    batch_concurrent_requests: PositiveInt | None = None
    batch_price_factor: Factor = Decimal(1)

    @property
    def rules(self) -> BatchRules:
        """The same as the batch room takes it."""
        return BatchRules(
            line_limit=self.batch_line_limit,
            file_bytes=self.batch_file_bytes,
            line_bytes=self.batch_line_bytes,
            chunk_lines=self.batch_chunk_lines,
            chunk_bytes=self.batch_chunk_bytes,
            window=self.batch_window,
            tries=self.batch_tries,
            pause_seconds=self.batch_pause_seconds,
            lease=timedelta(seconds=self.batch_lease_seconds),
            own_limits=Limits(
                requests_per_minute=self.batch_requests_per_minute,
                tokens_per_minute=self.batch_tokens_per_minute,
                concurrent_requests=self.batch_concurrent_requests,
            ),
        )


class BatchSettings(CompletionSettings, StorageSettings, BatchQueueSettings, RuleSettings):
    """Settings of the batch function.

    A line may take less long than a live request, so that a run ends in time. Its answer is kept for as long
    as a batch may last, so that identical lines and repeated ones cost one call.
    """

    request_seconds: PositiveFloat = 300.0
    cache_ttl_seconds: PositiveInt = 86_400
