"""Makes the README's picture: `python -m tests.browser.picture [folder]` writes page.png to docs/.

A conversation about a small handbook, served by the scripted server.
"""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from playwright.async_api import FilePayload, Page, async_playwright, expect

from tests.browser.conftest import CHROMIUM, FLAGS
from tests.browser.gestures import ask, sources
from tests.browser.stand_in import KEY, StandIn, answer, file_citation, listening

DOCS = Path(__file__).resolve().parents[2] / "docs"

HANDBOOK = """# Team handbook

Welcome. This is how we work; ask when something is missing.

## Working time

We work 38 hours a week. Core hours are 10:00 to 15:00; the rest is yours to place.

## Leave

### Holidays

Everyone has thirty days of holiday a year. Up to five unused days carry over until the end of March; after
that they lapse. Tell your team two weeks ahead for anything longer than three days.

### Sick leave

Tell your lead by 9:00 on the first day. A certificate is needed from the fourth day on.

## Travel

Trains before planes under six hours. Second class is paid in full, first class above four hours.
"""
CARRY = "Up to five unused days carry over until the end of March; after\nthat they lapse."
HOURS = "Core hours are 10:00 to 15:00; the rest is yours to place."
AHEAD = "Tell your team two weeks ahead for anything longer than three days."
FORM = "Holiday request: first day, last day, deputy. The lead answers within three working days."


CORE_HOURS = "From **10:00 to 15:00** [1]. When you work the other hours of the week is up to you."
HOLIDAYS = """\
Yes. You have **thirty days** a year, and unused days are kept for a while:

- up to **five days** carry over into the next year;
- they lapse after the end of March [1].

For more than three days, tell your team two weeks ahead [2] and send the request form [3].
"""


def cited(index: int, quote: str, headings: Sequence[str] = (), text: str = HANDBOOK) -> dict[str, Any]:
    start = text.index(quote)
    place = {"quote": quote, "char_start": start, "char_end": start + len(quote), "headings": headings}
    return file_citation(index=index, **place)


async def converse(page: Page, server: StandIn) -> None:
    server.texts["file-1"] = [HANDBOOK]
    notes: FilePayload = {"name": "handbook.md", "mimeType": "text/markdown", "buffer": HANDBOOK.encode()}
    forms: FilePayload = {"name": "forms-and-templates.pdf", "mimeType": "application/pdf", "buffer": b"%PDF"}
    await page.get_by_label("Vector store", exact=True).select_option(label="Team handbook")
    await page.get_by_label("choose files").set_input_files([notes, forms])
    await expect(page.get_by_text("2 documents ready")).to_be_visible()
    leave = ["Leave", "Holidays"]
    carry, ahead, form = (HOLIDAYS.index(marker) for marker in ("[1]", "[2]", "[3]"))
    in_form = {**cited(form, FORM, text=FORM), "filename": "forms-and-templates.pdf"}
    in_form["weir"]["page"] = 2
    server.answers = [
        answer(CORE_HOURS, annotations=[cited(CORE_HOURS.index("[1]"), HOURS, ["Working time"])]),
        answer(HOLIDAYS, annotations=[cited(carry, CARRY, leave), cited(ahead, AHEAD, leave), in_form]),
    ]
    for question in ("What are the core hours?", "Can I take last year's holidays in February?"):
        await ask(page, question)
        await expect(sources(page)).to_be_visible()


async def main(folder: Path) -> None:
    """Take the picture: light, 1200 x 800."""
    server = StandIn()
    server.let_body_in.set()
    server.ingestion.finish.set()
    async with (
        listening(server.gateway()) as url,
        async_playwright() as playwright,
        await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS) as browser,
    ):
        page = await browser.new_page(viewport={"width": 1200, "height": 800})
        server.url = url
        await page.goto(f"{url}/#key={KEY}")
        await page.locator("#store option", has_text="Team handbook").wait_for(state="attached")
        await converse(page, server)
        await page.screenshot(path=folder / "page.png", animations="disabled", caret="hide")
        if folder != DOCS:
            await other_pictures(page, folder)


async def other_pictures(page: Page, folder: Path) -> None:
    """The same page in dark, with an open citation, and on a narrow screen: to look at, not to publish."""
    await page.emulate_media(color_scheme="dark")
    await page.screenshot(path=folder / "dark.png")
    await page.get_by_role("button", name="Source 1").last.click()
    await expect(page.get_by_role("dialog").locator("mark")).to_be_visible()
    await page.screenshot(path=folder / "dark-citation.png")
    await page.emulate_media(color_scheme="light")
    await page.screenshot(path=folder / "citation.png")
    await page.keyboard.press("Escape")
    await page.set_viewport_size({"width": 390, "height": 780})
    await page.screenshot(path=folder / "mobile.png")
    await page.get_by_role("button", name="Documents").click()
    await page.screenshot(path=folder / "mobile-documents.png")
    await page.set_viewport_size({"width": 1200, "height": 800})
    await page.get_by_role("button", name="New chat").click()
    await page.screenshot(path=folder / "welcome.png")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else DOCS))
