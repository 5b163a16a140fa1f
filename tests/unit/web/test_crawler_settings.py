"""How the crawler names itself."""

import pytest

from shared.web.settings import CrawlerSettings


def test_the_contact_stands_behind_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIR_CRAWLER_USER_AGENT", "AcmeBot/1.0")
    assert CrawlerSettings().crawler_agent == "AcmeBot/1.0"
    monkeypatch.setenv("WEIR_CRAWLER_CONTACT", "https://acme.example/bot")
    settings = CrawlerSettings()
    assert settings.crawler_agent == "AcmeBot/1.0 (+https://acme.example/bot)"
    assert settings.crawler_product == "AcmeBot"


def test_hosts_are_separated_by_commas_or_spaces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIR_CRAWLER_PERMITTED_HOSTS", "a.test:80, b.test:81 c.test:82")
    assert CrawlerSettings().crawler_permitted_hosts == ("a.test:80", "b.test:81", "c.test:82")
