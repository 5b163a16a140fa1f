"""What rendering reads from the environment."""

from pathlib import Path

from pydantic import PositiveFloat, PositiveInt

from shared.settings import DatabaseSettings, ScrapingQueueSettings, Settings, ValkeySettings
from shared.web.settings import CrawlerSettings, RenderingQueueSettings


class BrowserSettings(Settings):
    """Where the browser is, and what a page may take: seconds, bytes that it loads, memory of its scripts."""

    browser_path: Path = Path("/usr/bin/chromium")
    browser_page_seconds: PositiveFloat = 20
    browser_page_bytes: PositiveInt = 30 * 1024 * 1024
    browser_heap_mb: PositiveInt = 256


class RenderingSettings(
    DatabaseSettings,
    ValkeySettings,
    ScrapingQueueSettings,
    RenderingQueueSettings,
    CrawlerSettings,
    BrowserSettings,
):
    """Settings of the rendering function."""
