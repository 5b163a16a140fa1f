"""A headless Chromium and a page on which nothing may go wrong unseen."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright

from tests.browser.stand_in import KEY, StandIn, listening

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def chromium() -> Path:
    """Where Chromium is; without one the ring is left out."""
    if not CHROMIUM.exists():
        pytest.skip(f"the browser ring needs Chromium at {CHROMIUM} (Debian: apt install chromium)")
    return CHROMIUM


@pytest.fixture(scope="session")
async def browser(chromium: Path) -> AsyncIterator[Browser]:
    """One Chromium for the whole run."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        await browser.close()


@pytest.fixture
async def server() -> AsyncIterator[StandIn]:
    """The scripted server, listening."""
    stand_in = StandIn()
    async with listening(stand_in.object_store()) as objects_url:
        stand_in.objects_url = objects_url
        async with listening(stand_in.gateway()) as url:
            stand_in.url = url
            yield stand_in


@dataclass
class Faults:
    """What the browser complained of. `expected` holds parts of messages that a test provokes."""

    messages: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def note(self, message: ConsoleMessage) -> None:
        """Keep an error or a warning of the console; a broken content security policy is one."""
        if message.type in ("error", "warning"):
            self.messages.append(message.text)

    @property
    def unexpected(self) -> list[str]:
        """Complaints that no test asked for."""
        return [text for text in self.messages if not any(part in text for part in self.expected)]


@pytest.fixture
def faults() -> Faults:
    """Lets a test name the complaints it provokes."""
    return Faults()


@pytest.fixture
async def blank_page(browser: Browser, faults: Faults) -> AsyncIterator[Page]:
    """A fresh browser profile with an empty page; at the end nothing may have gone wrong."""
    context = await browser.new_context(viewport={"width": 1200, "height": 800})
    context.set_default_timeout(10_000)
    page = await context.new_page()
    page.on("console", faults.note)
    page.on("pageerror", lambda error: faults.messages.append(str(error)))
    yield page
    await context.close()
    assert faults.unexpected == []


@pytest.fixture
async def page(blank_page: Page, server: StandIn) -> Page:
    """The page, opened with a key and ready to ask."""
    await blank_page.goto(f"{server.url}/#key={KEY}")
    await blank_page.locator("#model option").first.wait_for(state="attached")
    await blank_page.locator("#store option", has_text="Team handbook").wait_for(state="attached")
    return blank_page
