"""What stands in the scraping queue."""

from pydantic import BaseModel, ConfigDict


class FetchPage(BaseModel):
    """Fetch one page of a scrape. `url` is normalised; `depth` is its distance from the start page."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    tenant_id: str
    scrape_id: str
    url: str
    depth: int
