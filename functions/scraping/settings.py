"""What scraping reads from the environment."""

from pydantic import PositiveFloat

from shared.settings import (
    CatalogSettings,
    DatabaseSettings,
    ScrapingQueueSettings,
    StorageSettings,
    UsageQueueSettings,
    ValkeySettings,
)
from shared.web.settings import CrawlerSettings, RenderingQueueSettings


class ScrapingSettings(
    DatabaseSettings,
    ValkeySettings,
    StorageSettings,
    CatalogSettings,
    ScrapingQueueSettings,
    UsageQueueSettings,
    RenderingQueueSettings,
    CrawlerSettings,
):
    """Settings of the scraping function. `crawler_model_seconds`: how long a model may take over a page."""

    crawler_model_seconds: PositiveFloat = 90
