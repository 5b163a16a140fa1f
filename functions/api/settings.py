"""What this function reads from its environment."""

from pydantic import PositiveInt

from shared.settings import (
    BatchQueueSettings,
    CatalogSettings,
    EmbeddingSettings,
    IngestionQueueSettings,
    ReplicaSettings,
    RerankSettings,
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
    file_limit_bytes: PositiveInt = 2048 * _MB
    presigned_seconds: PositiveInt = 3600
    attach_limit: PositiveInt = 500
    query_limit_chars: PositiveInt = 8192
    text_page_chars: PositiveInt = 1_000_000
    scrape_depth_limit: PositiveInt = 5
    scrape_page_limit: PositiveInt = 1000
    usage_limit_days: PositiveInt = 366


class SearchSettings(RerankSettings):
    """`rewrite_model` is a chat model that rewrites queries where a request asks for it; empty for none."""

    rewrite_model: str = ""


class ApiSettings(
    ReplicaSettings,
    ValkeySettings,
    StorageSettings,
    CatalogSettings,
    IngestionQueueSettings,
    ScrapingQueueSettings,
    BatchQueueSettings,
    UsageQueueSettings,
    EmbeddingSettings,
    LimitSettings,
    SearchSettings,
):
    """Everything the API function is told. `websocket_url`: where clients connect to; empty: nowhere."""

    websocket_url: str = ""
