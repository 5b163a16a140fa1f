"""Scrapes: begun on the page, with counts and pages as they come, cancelled, and found again."""

from playwright.async_api import Locator, Page, expect

from tests.browser.conftest import Faults
from tests.browser.stand_in import Scrape, StandIn

URL = "https://example.com/docs/"


def scrape_row(page: Page, url: str = URL) -> Locator:
    return page.get_by_role("list", name="Scrapes").locator(":scope > li").filter(has_text=url)


async def begin(page: Page, how_much: str = "Site") -> None:
    await page.get_by_label("Web page to read").fill(URL)
    await page.get_by_label("How much to read").select_option(label=how_much)
    await page.get_by_role("button", name="Read", exact=True).click()


async def test_a_scrape_shows_its_counts_and_pages_until_it_has_ended(page: Page, server: StandIn) -> None:
    await begin(page)
    row = scrape_row(page)
    await expect(row.locator(".state")).to_have_text("running: 1 queued")
    assert server.scrapes["scrape-1"].asked == {"url": URL, "depth": 2, "vector_store_id": "vs-1"}
    await expect(page.get_by_label("Web page to read")).to_have_value("")

    scrape = server.scrapes["scrape-1"]
    scrape.pages = {
        URL: ("completed", None),
        f"{URL}a": ("failed", "status 404"),
        f"{URL}b": ("running", None),
        f"{URL}c": ("queued", None),
    }
    await expect(row.locator(".state")).to_have_text("running: 1 completed, 1 running, 1 queued, 1 failed")
    await expect(row.get_by_role("progressbar")).to_have_js_property("value", 0.5)
    await row.get_by_text("Pages").click()
    await expect(row.locator("details li")).to_have_text(
        [f"{URL}: completed", f"{URL}a: failed: status 404", f"{URL}b: running", f"{URL}c: queued"]
    )

    scrape.pages |= {f"{URL}b": ("completed", None), f"{URL}c": ("skipped", "it asks not to be kept")}
    scrape.status = "completed"
    await expect(row.locator(".state")).to_have_text("completed: 2 completed, 1 skipped, 1 failed")
    await expect(row.get_by_role("progressbar")).to_be_hidden()
    await expect(row.get_by_role("button", name="Cancel")).to_be_hidden()
    await expect(page.get_by_role("status")).to_have_text(f"Scrape of {URL}: completed.")


async def test_a_scrape_is_cancelled(page: Page, server: StandIn) -> None:
    await begin(page, "Page")
    await scrape_row(page).get_by_role("button", name=f"Cancel {URL}").click()
    await expect(scrape_row(page).locator(".state")).to_have_text("cancelled: 1 skipped")
    assert server.scrapes["scrape-1"].asked["depth"] == 0


async def test_scrapes_that_go_on_are_there_after_a_reload(page: Page, server: StandIn) -> None:
    server.scrapes = {
        "scrape-1": Scrape("https://example.com/over/", status="completed"),
        "scrape-2": Scrape(URL, pages={URL: ("running", None)}),
    }
    await page.reload()
    await expect(scrape_row(page).locator(".state")).to_have_text("running: 1 running")
    await expect(scrape_row(page, "example.com")).to_have_count(1)


async def test_the_reason_of_a_refused_scrape_is_shown(page: Page, server: StandIn, faults: Faults) -> None:
    faults.expected = ["status of 400"]
    server.refusals = [(400, "Invalid 'depth': at most 1, not 2.")]
    await begin(page)
    await expect(page.get_by_role("alert")).to_have_text("Invalid 'depth': at most 1, not 2.")
    await expect(page.get_by_label("Web page to read")).to_have_value(URL)
