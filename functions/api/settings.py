"""What this function reads from its environment."""

from pydantic import PositiveInt

from shared.settings import (
    CatalogSettings,
    DatabaseSettings,
    EmbeddingSettings,
    IngestionQueueSettings,
    ScrapingQueueSettings,
    Settings,
    StorageSettings,
    UsageQueueSettings,
    ValkeySettings,
)

_MB = 1024 * 1024


class LimitSettings(Settings):
    """The bounds of what this API takes and gives. Beyond them a request is refused with 400 or 413.

    Lambda takes 6 MB as base64, headers included: that is why a file in the body of a request ends at 4 MiB,
    and an answer too. Larger files go straight to S3 and come straight from it.
    """

    json_limit_bytes: PositiveInt = _MB
    upload_limit_bytes: PositiveInt = 4 * _MB
    download_limit_bytes: PositiveInt = 4 * _MB
    file_limit_bytes: PositiveInt = 512 * _MB
    presigned_seconds: PositiveInt = 3600
    attach_limit: PositiveInt = 500
    query_limit_chars: PositiveInt = 8192
    text_page_chars: PositiveInt = 1_000_000
    scrape_depth_limit: PositiveInt = 5
    scrape_page_limit: PositiveInt = 1000
    usage_limit_days: PositiveInt = 366


class ApiSettings(
    DatabaseSettings,
    ValkeySettings,
    StorageSettings,
    CatalogSettings,
    IngestionQueueSettings,
    ScrapingQueueSettings,
    UsageQueueSettings,
    EmbeddingSettings,
    LimitSettings,
):
    """Everything the API function is told."""
