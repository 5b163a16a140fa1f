"""The page as a whole: by keyboard alone, in light and dark, on a narrow screen."""

import asyncio
import re

from playwright.async_api import Browser, Page, Route, expect

from tests.browser.gestures import ask, sources
from tests.browser.stand_in import KEY, PAGE, StandIn, answer, event, file_citation

FOCUSED = """() => {
    const { activeElement: focused, body } = document;
    return focused === body ? "" : focused.labels?.[0]?.innerText || focused.ariaLabel || focused.innerText;
}"""


async def tab_to(page: Page, name: str) -> None:
    """Press Tab until the focus is on what has this accessible name or text."""
    seen = []
    for _ in range(30):
        await page.keyboard.press("Tab")
        seen.append(str(await page.evaluate(FOCUSED)))
        if name in seen[-1]:
            return
    raise AssertionError(f"Tab never reached {name!r}, only {seen}")


async def test_everything_can_be_done_by_keyboard(page: Page, server: StandIn) -> None:
    page.on("filechooser", lambda _: None)  # From now on choosers are reported, before one is to be expected.
    server.texts["file-1"] = ["Thirty days a year."]
    citation = file_citation(index=7, quote="Thirty days a year.", char_start=0, char_end=19)
    server.answers = [answer("Thirty [1].", annotations=[citation])]
    await expect(page.get_by_label("Your question")).to_be_focused()
    await page.keyboard.type("How many")
    await page.keyboard.press("Shift+Enter")
    await page.keyboard.type("holidays?")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("article").first).to_contain_text("How many\nholidays?")
    await expect(sources(page)).to_be_visible()

    await tab_to(page, "Skip to the question")
    await expect(page.get_by_text("Skip to the question")).to_be_in_viewport()
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("Your question")).to_be_focused()

    await tab_to(page, "Vector store")
    await page.keyboard.press("T")
    await expect(page.get_by_label("Vector store", exact=True)).to_have_value("vs-1")
    await tab_to(page, "choose files")
    async with page.expect_file_chooser():
        await page.keyboard.press("Enter")
    await tab_to(page, "Source 1: handbook.md")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("dialog").locator("mark")).to_have_text("Thirty days a year.")
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_be_hidden()


async def test_the_focus_stays_when_send_becomes_stop_and_back(page: Page, server: StandIn) -> None:
    server.answers = [[event({"content": "One."}), asyncio.Event()]]
    await page.get_by_label("Your question").fill("Hi")
    await tab_to(page, "Send")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("button", name="Stop")).to_be_focused()
    await expect(page.get_by_text("One.")).to_be_visible()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("button", name="Send")).to_be_focused()
    await expect(page.get_by_role("article").last).to_contain_text("Stopped.")


async def test_enter_that_takes_a_word_of_an_input_method_does_not_send(page: Page, server: StandIn) -> None:
    question = page.get_by_label("Your question")
    await question.fill("ni hao")
    await question.dispatch_event("keydown", {"key": "Enter", "isComposing": True})
    await expect(question).to_have_value("ni hao")
    assert server.chats == []


async def test_the_theme_follows_the_system_until_it_is_chosen(page: Page) -> None:
    light = await page.screenshot()
    await page.emulate_media(color_scheme="dark")
    dark = await page.screenshot()
    assert dark != light
    await page.get_by_role("button", name="Light theme").click()
    await page.get_by_label("Your question").focus()
    assert await background(page) == "rgb(255, 255, 255)"
    await page.reload()
    assert await background(page) == "rgb(255, 255, 255)"


async def background(page: Page) -> str:
    return str(await page.evaluate("getComputedStyle(document.body).backgroundColor"))


async def test_nothing_moves_for_readers_who_ask_for_that(page: Page, server: StandIn) -> None:
    still = asyncio.Event()
    server.answers = [[event({"content": "One."}), still, *answer(" Two.")]]
    await ask(page, "Hi")
    await expect(page.get_by_text("One.")).to_be_visible()
    assert await page.evaluate("document.getAnimations().length") == 1  # the caret of a growing answer
    await page.emulate_media(reduced_motion="reduce")
    assert await page.evaluate("document.getAnimations().length") == 0
    still.set()
    await expect(page.get_by_text("One. Two.")).to_be_visible()


async def test_a_narrow_screen_folds_the_side_and_scrolls_nothing_sideways(
    page: Page, server: StandIn
) -> None:
    await page.set_viewport_size({"width": 360, "height": 640})
    server.answers = [answer("```\n" + "a long line of code " * 20 + "\n```\n" + "longword" * 40)]
    await ask(page, "Hi")
    await expect(page.get_by_role("article").last).to_have_attribute("aria-busy", "false")
    assert await page.evaluate("document.documentElement.scrollWidth") == 360
    assert await page.evaluate("document.querySelector('#log').scrollWidth") == 360
    await expect(page.get_by_label("Vector store", exact=True)).to_be_hidden()
    await page.get_by_role("button", name="Documents").click()
    await expect(page.get_by_label("Vector store", exact=True)).to_be_visible()


async def test_the_page_works_under_a_stage_of_an_api(blank_page: Page, server: StandIn) -> None:
    # A deployment without a domain of its own serves everything below `/prod/`.
    async def below_the_stage(route: Route) -> None:
        await route.continue_(url=route.request.url.replace("/prod/", "/"))

    await blank_page.route("**/prod/**", below_the_stage)
    await blank_page.goto(f"{server.url}/prod/#key={KEY}")
    await expect(blank_page.get_by_label("Model", exact=True)).to_have_value("smollm2-135m")


async def test_the_page_asks_nobody_else_and_is_light(browser: Browser, server: StandIn) -> None:
    context = await browser.new_context()
    page = await context.new_page()
    addresses: list[str] = []
    page.on("request", lambda request: addresses.append(request.url))
    await page.goto(f"{server.url}/#key={KEY}")
    await expect(page.get_by_label("Model", exact=True)).to_have_value("smollm2-135m")
    await context.close()
    assert [address for address in addresses if not address.startswith(f"{server.url}/")] == []
    assert sum(file.stat().st_size for file in PAGE.iterdir()) < 64 * 1024


def test_no_code_of_the_page_writes_html_from_text() -> None:
    risky = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|style=")
    sources = {file.name: file.read_text() for file in PAGE.iterdir()}
    assert {name: risky.findall(text) for name, text in sources.items() if risky.search(text)} == {}
