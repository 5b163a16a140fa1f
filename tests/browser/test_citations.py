"""Citations: named under the answer and in it, opened at their place, whatever characters stand before it."""

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import Faults
from tests.browser.gestures import ask, sources
from tests.browser.stand_in import StandIn, answer, file_citation

BEFORE = "# 假期 🏖️\n\n" + "员工手册 👩‍👩‍👧 and more. \n" * 200
QUOTE = "Thirty days 🎉 a year, 三十天。"
TEXT = f"{BEFORE}{QUOTE}\n\n" + "What follows.\n" * 200


async def test_a_citation_opens_its_document_at_the_quoted_place(page: Page, server: StandIn) -> None:
    server.texts["file-1"] = [TEXT]
    place = {"char_start": len(BEFORE), "char_end": len(BEFORE) + len(QUOTE)}
    citation = file_citation(index=12, quote=QUOTE, page=3, headings=["Leave", "Holidays"], **place)
    server.answers = [answer("Thirty days", " [1] a year, not [2].", annotations=[citation])]
    await ask(page, "How many holidays?")
    await expect(sources(page)).to_contain_text("page 3 · Leave › Holidays")
    await expect(page.get_by_role("article").last).to_contain_text("a year, not [2].")

    await page.get_by_role("button", name="Source 1: handbook.md").click()
    dialog = page.get_by_role("dialog", name="handbook.md")
    await expect(dialog.locator("mark")).to_have_text(QUOTE)
    await expect(dialog.locator("mark")).to_be_in_viewport(ratio=1)
    document = dialog.get_by_role("document")
    await expect(document).to_have_text(TEXT.strip(), use_inner_text=False)
    before_mark = (
        "node => { let n = node, s = ''; while (n = n.previousSibling) s = n.textContent + s; return s; }"
    )
    assert await dialog.locator("mark").evaluate(before_mark) == BEFORE
    await expect(document).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()
    await expect(page.get_by_role("button", name="Source 1: handbook.md")).to_be_focused()


async def test_marks_bear_the_numbers_of_the_list_wherever_the_model_cites(
    page: Page, server: StandIn
) -> None:
    # The model was given passages 1 to 4 and cites the fourth, then the second and the fourth, then none.
    text = "🙂 **Four [4]**, both 【2, 4】, plain, `list[4]`, unknown [9]."
    four, both, plain = (text.index(part) for part in ("[4]", "【", ", `list"))
    fourth = {"quote": "The fourth.", "char_start": 1}
    annotations = [
        file_citation(index=four, **fourth),
        file_citation(index=both, quote="The second.", char_start=9),
        file_citation(index=both, **fourth),
        file_citation(index=plain, quote="Recognised.", char_start=50),
    ]
    server.answers = [answer(text, annotations=annotations)]
    await ask(page, "Which?")
    await expect(sources(page).locator(".quote")).to_have_text(["The fourth.", "The second.", "Recognised."])
    shown = page.get_by_role("article").last.locator(".text")
    await expect(shown).to_have_text("🙂 Four 1, both 12, plain3, list[4], unknown [9].")
    await expect(shown.locator("strong").get_by_role("button", name="Source 1: handbook.md")).to_be_visible()


async def test_a_quote_is_found_when_its_range_does_not_fit(page: Page, server: StandIn) -> None:
    server.texts["file-1"] = ["Moved on. ", "Thirty days a year."]
    citation = file_citation(quote="Thirty days a year.", char_start=0, char_end=19)
    server.answers = [answer("Thirty.", annotations=[citation])]
    await ask(page, "How many?")
    await sources(page).get_by_role("button").click()
    await expect(page.get_by_role("dialog").locator("mark")).to_have_text("Thirty days a year.")


async def test_a_long_text_is_read_as_far_as_the_place_and_on_demand_further(
    page: Page, server: StandIn
) -> None:
    server.texts["file-1"] = ["One 🙂. ", "Two. ", "Three. ", "Four."]
    citation = file_citation(quote="Two.", char_start=7, char_end=11)
    server.answers = [answer("Two.", annotations=[citation])]
    await ask(page, "What comes then?")
    await sources(page).get_by_role("button").click()
    dialog = page.get_by_role("dialog")
    text = dialog.get_by_role("document")
    await expect(dialog.locator("mark")).to_have_text("Two.")
    await expect(text).to_have_text("One 🙂. Two. Show more of the text")
    await dialog.get_by_role("button", name="Show more").click()
    await expect(text).to_have_text("One 🙂. Two. Three. Show more of the text")
    await dialog.get_by_role("button", name="Show more").click()
    await expect(text).to_have_text("One 🙂. Two. Three. Four.")


async def test_a_deleted_document_still_shows_the_quote(page: Page, server: StandIn, faults: Faults) -> None:
    faults.expected.append("404 (Not Found)")
    citation = file_citation(quote="Thirty days a year.", char_start=0, char_end=19)
    server.answers = [answer("Thirty.", annotations=[citation])]
    await ask(page, "How many?")
    await sources(page).get_by_role("button").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("There is no such file in this vector store.")
    await expect(dialog.locator("mark")).to_have_text("Thirty days a year.")


@pytest.mark.parametrize(
    ("address", "linked"), [("https://example.com/a", True), ("javascript:alert(1)", False)]
)
async def test_a_web_page_is_cited_with_a_link_only_if_it_is_one(
    page: Page, server: StandIn, address: str, *, linked: bool
) -> None:
    citation = {
        "type": "url_citation",
        "url_citation": {"start_index": 0, "end_index": 1, "url": address, "title": "A page"},
        "weir": {"quote": "Said there."},
    }
    server.answers = [answer("So.", annotations=[citation])]
    await ask(page, "Where?")
    await sources(page).get_by_role("button").click()
    dialog = page.get_by_role("dialog", name="A page")
    await expect(dialog.locator("mark")).to_have_text("Said there.")
    link = dialog.get_by_text("Open the page")
    await expect(link).to_be_visible(visible=linked)
    if linked:
        await expect(link).to_have_attribute("href", address)
