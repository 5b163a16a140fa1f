"""What stands in the queues of scraping and rendering."""

from pydantic import BaseModel, ConfigDict, TypeAdapter


class FetchPage(BaseModel):
    """Work on one page of a scrape. `url` is normalised; `depth` is its distance from the start page."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    tenant_id: str
    scrape_id: str
    url: str
    depth: int


class ReportScrape(BaseModel):
    """Tell the webhook of a scrape that it has ended; `attempt` counts from 0."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True, extra="forbid")

    tenant_id: str
    scrape_id: str
    attempt: int


ScrapeMessage = FetchPage | ReportScrape

_ANY: TypeAdapter[ScrapeMessage] = TypeAdapter(ScrapeMessage)


def parse_message(body: str) -> ScrapeMessage:
    """The message in the body of an SQS record.

    Raises:
        pydantic.ValidationError: It is none.
    """
    return _ANY.validate_json(body)
