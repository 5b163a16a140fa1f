"""How the crawler behaves, read from the environment by the functions that visit sites."""

from typing import Annotated

from pydantic import BeforeValidator, NonNegativeFloat, PositiveFloat, PositiveInt
from pydantic_settings import NoDecode

from shared.settings import Settings


def _split(value: object) -> object:
    return value.replace(",", " ").split() if isinstance(value, str) else value


HostList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]


class CrawlerSettings(Settings):
    """How the crawler behaves towards the sites it visits.

    `crawler_user_agent` is sent as it is, and what stands before its slash is the name that robots.txt knows
    the crawler by; `crawler_contact`, a URL or an address where site owners reach you, is put behind it.
    `crawler_permitted_hosts` lists the `host:port` that may be at private addresses. Where robots.txt asks
    for nothing else, `crawler_host_requests` are made to a host at once, `crawler_delay_seconds` apart, by
    all workers together. `crawler_lease_seconds` must outlast the work on one page, which may wait for
    robots.txt and then for the page, `crawler_page_seconds` each.
    """

    crawler_user_agent: str = "WeirBot/1.0"
    crawler_contact: str = ""
    crawler_permitted_hosts: HostList = ()
    crawler_page_bytes: PositiveInt = 20 * 1024 * 1024
    crawler_page_seconds: PositiveFloat = 30
    crawler_page_attempts: PositiveInt = 3
    crawler_delay_seconds: NonNegativeFloat = 0.2
    crawler_host_requests: PositiveInt = 4
    crawler_lease_seconds: PositiveFloat = 180

    @property
    def crawler_agent(self) -> str:
        """The `User-Agent` header."""
        agent = self.crawler_user_agent
        return f"{agent} (+{self.crawler_contact})" if self.crawler_contact else agent

    @property
    def crawler_product(self) -> str:
        """The name in robots.txt."""
        return self.crawler_user_agent.partition("/")[0]


class RenderingQueueSettings(Settings):
    """The queue of the function that renders pages with a browser; empty where there is none."""

    rendering_queue_url: str = ""
