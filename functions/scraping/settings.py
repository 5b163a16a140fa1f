"""What scraping reads from the environment."""

from shared.settings import DatabaseSettings, ScrapingQueueSettings, StorageSettings, ValkeySettings
from shared.web.settings import CrawlerSettings, RenderingQueueSettings


class ScrapingSettings(
    DatabaseSettings,
    ValkeySettings,
    StorageSettings,
    ScrapingQueueSettings,
    RenderingQueueSettings,
    CrawlerSettings,
):
    """Settings of the scraping function."""
