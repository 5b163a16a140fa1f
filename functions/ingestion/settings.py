"""What ingestion reads from the environment."""

from datetime import timedelta

from pydantic import PositiveFloat, PositiveInt

from shared.knowledge.means import IngestionLimits
from shared.settings import (
    CatalogSettings,
    DatabaseSettings,
    IngestionQueueSettings,
    Settings,
    StorageSettings,
    UsageQueueSettings,
)


class JobSettings(Settings):
    """How a job is worked on.

    A worker that has not renewed its lease for `ingestion_lease_seconds` is taken for dead. A job that failed
    `ingestion_attempts` times is not tried again. Files over `ingestion_file_bytes` are not read.
    """

    ingestion_lease_seconds: PositiveInt = 60
    ingestion_attempts: PositiveInt = 4
    ingestion_file_bytes: PositiveInt = 2 * 2**30

    @property
    def limits(self) -> IngestionLimits:
        """The same as ingestion takes it."""
        return IngestionLimits(
            lease=timedelta(seconds=self.ingestion_lease_seconds),
            max_attempts=self.ingestion_attempts,
            max_bytes=self.ingestion_file_bytes,
        )


class CaptionSettings(Settings):
    """What reads pictures and scanned pages: `caption_model`, a chat model with vision; empty for none.

    It has `caption_seconds` for each, and `caption_calls` pages of a file are asked at once.
    """

    caption_model: str = ""
    caption_seconds: PositiveFloat = 120.0
    caption_calls: PositiveInt = 8


class IngestionSettings(
    DatabaseSettings,
    StorageSettings,
    CatalogSettings,
    IngestionQueueSettings,
    UsageQueueSettings,
    JobSettings,
    CaptionSettings,
):
    """Settings of the ingestion function."""
