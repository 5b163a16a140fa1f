"""What stands in the queue of scraping."""

import pytest
from pydantic import ValidationError

from shared.web.messages import FetchPage, ReportScrape, parse_message

PAGE = FetchPage(tenant_id="t", scrape_id="s", url="https://example.com/", depth=1)
REPORT = ReportScrape(tenant_id="t", scrape_id="s", attempt=2)


@pytest.mark.parametrize("message", [PAGE, REPORT])
def test_a_message_is_what_it_was(message: FetchPage | ReportScrape) -> None:
    assert parse_message(message.model_dump_json()) == message


@pytest.mark.parametrize("body", ["", "{}", "[]", '{"tenant_id": "t", "scrape_id": "s"}', '{"url": "x"}'])
def test_what_is_none_is_refused(body: str) -> None:
    with pytest.raises(ValidationError):
        parse_message(body)
