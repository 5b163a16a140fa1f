"""The main job on the whole real stack: a document dropped on the page, asked, and its citation opened."""

import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Page, Route, expect

from local.components.models import CHAT_MODEL
from local.data_directory import Access, read_access
from local.process import Launcher, Program
from tests.browser.gestures import ask, drop, sources, upload_row

# Milliseconds that the real queue, worker and models may take on a slow machine.
PATIENCE = 60_000

# The local model is tiny: it must find the answer's own words in the text.
QUOTE = "The ferry Marmalade leaves Greifswald at nine o'clock."
DOCUMENT = f"""# 渡船 ⛴️

{QUOTE}

A ticket costs four euros. Children under six travel free.
"""

# Keeps the text of the answer each time it changes while the answer still grows.
RECORD = """() => {
    window.grown = [];
    new MutationObserver(() => {
        const text = document.querySelector(".answer[aria-busy=true] .text")?.textContent;
        if (text && text !== window.grown.at(-1)) window.grown.push(text);
    }).observe(document.querySelector("#log"), { childList: true, subtree: true });
}"""


@pytest.fixture(scope="module")
def directory() -> Iterator[Path]:
    """For all that the stack keeps, gone after the tests."""
    with tempfile.TemporaryDirectory(prefix="weir-browser-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)  # PostgreSQL runs as another user when the tests run as root.
        yield Path(name)


@pytest.fixture(scope="module")
async def access(chromium: Path, directory: Path) -> AsyncIterator[Access]:
    """The whole stack, started as a user starts it, on a free port and with data of its own."""
    ready_file = directory / "ready.json"
    options = ["--data", str(directory / "data"), "--port", "0", "--ready-file", str(ready_file)]
    up = Program(name="stack", argv=[sys.executable, "-m", "local", "up", *options])

    async def is_ready() -> bool:
        return read_access(ready_file) is not None

    async with Launcher(directory / "logs") as launcher:
        await (await launcher.start(up)).ready(is_ready, timeout=90)
        access = read_access(ready_file)
        assert access is not None
        yield access


async def sample_nothing(route: Route) -> None:
    """Let the small model say the likeliest words, and not too many, so that it says the same each time."""
    body = {**(route.request.post_data_json or {}), "temperature": 0, "max_tokens": 60}
    await route.continue_(post_data=body)


async def test_a_dropped_document_answers_with_a_citation_that_opens(
    blank_page: Page, access: Access
) -> None:
    page = blank_page
    await page.goto(f"{access.base_url.removesuffix('/v1')}/#key={access.api_key}")
    await expect(page.get_by_label("Model", exact=True)).to_have_value(CHAT_MODEL)
    await drop(page, "ferry.md", "text/markdown", DOCUMENT)
    await expect(upload_row(page, "ferry.md")).to_contain_text("Ready", timeout=PATIENCE)
    await expect(page.get_by_text("1 document ready")).to_be_visible()

    await page.route("**/v1/chat/completions", sample_nothing)
    await page.evaluate(RECORD)
    await ask(page, "When does the ferry Marmalade leave Greifswald?")
    answer = page.get_by_role("article").last
    await expect(answer).to_have_attribute("aria-busy", "false", timeout=PATIENCE)
    await expect(answer.locator(".error")).to_be_hidden()
    await expect(answer.locator(".text")).to_contain_text("nine o'clock")
    assert len(await page.evaluate("window.grown")) > 1

    await sources(page).get_by_role("button").first.click()
    dialog = page.get_by_role("dialog", name="ferry.md")
    await expect(dialog.locator("mark")).to_have_text(QUOTE)
    await expect(dialog.locator("mark")).to_be_in_viewport()
    await expect(dialog.get_by_role("document")).to_contain_text("Children under six travel free.")


async def test_an_answer_comes_over_a_websocket_by_choice(blank_page: Page, access: Access) -> None:
    page = blank_page
    await page.goto(f"{access.base_url.removesuffix('/v1')}/#key={access.api_key}")
    await expect(page.get_by_label("Model", exact=True)).to_have_value(CHAT_MODEL)
    await page.get_by_label("Answers over a WebSocket").check()
    async with page.expect_websocket() as opened:
        await ask(page, "What is a ferry?")
    assert access.api_key not in (await opened.value).url
    answer = page.get_by_role("article").last
    await expect(answer).to_have_attribute("aria-busy", "false", timeout=PATIENCE)
    await expect(answer.locator(".error")).to_be_hidden()
    await expect(answer.locator(".text")).not_to_be_empty()


async def test_a_large_file_goes_straight_to_storage(blank_page: Page, access: Access) -> None:
    page = blank_page
    await page.goto(f"{access.base_url.removesuffix('/v1')}/#key={access.api_key}")
    await expect(page.get_by_label("Model", exact=True)).to_have_value(CHAT_MODEL)
    padding = "<!-- nothing to read here -->\n" * 160_000
    large = f"<!doctype html><title>Tides</title><h1>Tides</h1><p>High water is at noon.</p>{padding}"
    async with page.expect_request(lambda request: request.method == "PUT") as sent:
        await drop(page, "tides.html", "text/html", large)
    assert not (await sent.value).url.startswith(access.base_url.removesuffix("/v1"))
    await expect(upload_row(page, "tides.html")).to_contain_text("Ready", timeout=PATIENCE)
