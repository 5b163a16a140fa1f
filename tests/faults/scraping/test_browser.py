"""Pages that take more than a page may, in a real Chromium."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from rendering.browser import Renderer, RenderLimits
from shared.web.answer import FetchFailedError, FetchRefusedError
from tests.integration.scraping_site import Site, running_site
from tests.integration.test_rendering import CHROMIUM, SHELL, TEXT, app, pytestmark

__all__ = ["pytestmark"]

# A small heap of scripts, so that a page without measure breaks soon.
LIMITS = RenderLimits(seconds=10, settling=2, heap_mb=64, html_bytes=1_000_000)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with running_site({}) as running:
        yield running


@pytest.fixture
async def renderer(site: Site) -> AsyncIterator[Renderer]:
    running = Renderer(
        executable=CHROMIUM, user_agent="WeirBot/1.0", permitted_hosts=[site.host], limits=LIMITS
    )
    yield running
    await running.close()


async def test_a_page_without_measure_ends_and_the_next_is_rendered(site: Site, renderer: Renderer) -> None:
    site.pages |= app()
    site.pages["/memory"] = "<script>const all = []; for (;;) all.push(new Array(1e5).fill(0.5));</script>"
    with pytest.raises(FetchFailedError, match="more memory than a page may"):
        await renderer.render(f"{site.url}/memory")
    assert TEXT in (await renderer.render(f"{site.url}/")).html


async def test_a_page_that_grows_without_end_is_refused(site: Site, renderer: Renderer) -> None:
    site.pages["/"] = "<body><script>document.body.append('x'.repeat(2_000_000))</script>"
    with pytest.raises(FetchRefusedError, match="1,000,000 characters"):
        await renderer.render(f"{site.url}/")


async def test_what_opens_windows_downloads_and_asks_is_rendered(site: Site, renderer: Renderer) -> None:
    site.pages |= app()
    site.pages["/"] = (
        SHELL + "<script>window.open('/next'); alert(1); confirm(2); location = '/file'</script>"
    )
    site.pages["/file"] = "nothing"
    assert (await renderer.render(f"{site.url}/")).status == 200


async def test_a_script_without_end_is_cut_off(site: Site) -> None:
    site.pages["/"] = "<script>for (;;);</script>"
    limits = RenderLimits(seconds=3)
    renderer = Renderer(
        executable=CHROMIUM, user_agent="WeirBot/1.0", permitted_hosts=[site.host], limits=limits
    )
    began = asyncio.get_running_loop().time()
    with pytest.raises(FetchFailedError, match="not rendered within 3 s"):
        await renderer.render(f"{site.url}/")
    assert asyncio.get_running_loop().time() - began < 30
    await renderer.close()
