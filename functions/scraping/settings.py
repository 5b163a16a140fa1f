"""What scraping reads from the environment."""

from typing import Annotated

from pydantic import BeforeValidator, NonNegativeFloat, PositiveFloat, PositiveInt
from pydantic_settings import NoDecode

from shared.settings import (
    DatabaseSettings,
    ScrapingQueueSettings,
    Settings,
    StorageSettings,
    ValkeySettings,
)


def _split(value: object) -> object:
    return value.replace(",", " ").split() if isinstance(value, str) else value


HostList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]


class CrawlerSettings(Settings):
    """How the crawler behaves towards the sites it visits.

    `crawler_user_agent` is sent as it is, and what stands before its slash is the name that robots.txt knows
    the crawler by: set it to your own, with an address where site owners reach you, as in
    `AcmeBot/1.0 (+https://acme.example/bot)`. `crawler_permitted_hosts` lists the `host:port` that may be at
    private addresses. `crawler_delay_seconds` is left between two requests to a host by one worker where
    robots.txt asks for no more. `crawler_lease_seconds` must outlast the work on one page, which may wait for
    robots.txt and then for the page, `crawler_page_seconds` each.
    """

    crawler_user_agent: str = "WeirBot/1.0"
    crawler_permitted_hosts: HostList = ()
    crawler_page_bytes: PositiveInt = 20 * 1024 * 1024
    crawler_page_seconds: PositiveFloat = 30
    crawler_page_attempts: PositiveInt = 3
    crawler_delay_seconds: NonNegativeFloat = 0.2
    crawler_lease_seconds: PositiveFloat = 180


class ScrapingSettings(
    DatabaseSettings, ValkeySettings, StorageSettings, ScrapingQueueSettings, CrawlerSettings
):
    """Settings of the scraping function."""
