"""What ingestion reads from the environment."""

from datetime import timedelta

from pydantic import PositiveInt

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


class IngestionSettings(
    DatabaseSettings,
    StorageSettings,
    CatalogSettings,
    IngestionQueueSettings,
    UsageQueueSettings,
    JobSettings,
):
    """Settings of the ingestion function."""
