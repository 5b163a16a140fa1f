"""Chromium, started when first needed: renders one page at a time, bounded in time, bytes and memory."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rendering.proxy import Proxy, running_proxy
from shared.web.answer import FetchFailedError, FetchRefusedError
from shared.web.checked_connection import Resolve, resolve
from shared.web.rendered_pages import Rendered

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, Page, Playwright, Response, Route

# Nothing that goes out except through the proxy: no own DNS, no QUIC, no WebRTC, no service of Google.
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-extensions",
    "--disable-sync",
    "--no-first-run",
    "--no-pings",
    "--no-zygote",
    "--disable-features=DnsOverHttps,MediaRouter,OptimizationHints,Translate",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    "--renderer-process-limit=2",
)

# Nothing of these is text.
_BLOCKED = frozenset(("image", "media", "font", "texttrack", "manifest"))

# Pages after which Chromium is started anew: what leaks in it stays small.
_PAGES = 25


@dataclass(frozen=True, kw_only=True)
class RenderLimits:
    """`seconds` for a page as a whole, of which `settling` at most after its HTML has come.

    `transfer_bytes` is all that the page may receive, `html_bytes` what it may be in the end; `heap_mb`, the
    memory of its scripts.
    """

    seconds: float = 20.0
    settling: float = 5.0
    transfer_bytes: int = 30 * 1024 * 1024
    html_bytes: int = 5 * 1024 * 1024
    heap_mb: int = 256


@dataclass(kw_only=True)
class Renderer:
    """Renders pages as one User-Agent. Close it in the event loop that used it."""

    executable: Path
    user_agent: str
    permitted_hosts: Collection[str] = ()
    limits: RenderLimits = RenderLimits()
    resolve: Resolve = resolve
    _browser: "Browser | None" = field(default=None, init=False)
    _driver: "Playwright | None" = field(default=None, init=False)
    _pages: int = field(default=0, init=False)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    async def render(self, url: str) -> Rendered:
        """The page as it is when its scripts have come to rest, or their time is over.

        Raises:
            FetchRefusedError: At an address that may not be reached, or larger than a page may be.
            FetchFailedError: It did not come, or broke the browser.
        """
        async with self._turn:
            try:
                async with asyncio.timeout(self.limits.seconds):
                    return await self._render(url)
            except TimeoutError as error:
                await self.close()
                reason = f"it was not rendered within {self.limits.seconds:g} s"
                raise FetchFailedError(reason, transient=True) from error
            except (FetchFailedError, FetchRefusedError):
                raise
            except Exception as error:
                # Whatever broke in the browser, the next page has a new one.
                await self.close()
                reason = f"the browser broke ({type(error).__name__})"
                raise FetchFailedError(reason, transient=True) from error

    async def close(self) -> None:
        """End Chromium."""
        browser, driver = self._browser, self._driver
        self._browser = self._driver = None
        # A browser that hangs is killed with its driver.
        with suppress(Exception):
            async with asyncio.timeout(5):
                if browser is not None:
                    await browser.close()
        with suppress(Exception):
            async with asyncio.timeout(5):
                if driver is not None:
                    await driver.stop()

    async def _render(self, url: str) -> Rendered:
        browser = await self._open()
        async with (
            running_proxy(
                max_bytes=self.limits.transfer_bytes,
                permitted_hosts=self.permitted_hosts,
                resolve=self.resolve,
            ) as proxy,
            self._context(browser, proxy) as context,
        ):
            page = await context.new_page()
            crashed = asyncio.ensure_future(_crash(page))
            showing = asyncio.ensure_future(self._show(page, url, proxy))
            try:
                await asyncio.wait((crashed, showing), return_when=asyncio.FIRST_COMPLETED)
                if crashed.done():
                    await self.close()
                    raise FetchFailedError("it takes more memory than a page may", transient=False)
                return await showing
            finally:
                for task in (crashed, showing):
                    task.cancel()
                await asyncio.wait((crashed, showing))

    async def _show(self, page: "Page", url: str, proxy: Proxy) -> Rendered:
        from playwright.async_api import Error
        from playwright.async_api import TimeoutError as SlowError

        try:
            answer = await page.goto(url, wait_until="domcontentloaded")
        except SlowError:
            raise
        except Error as error:
            if proxy.refused and not proxy.connections:
                raise FetchRefusedError("the host is at an address that may not be reached") from error
            raise FetchFailedError("the browser cannot open it", transient=True) from error
        with suppress(SlowError):
            await page.wait_for_load_state("networkidle", timeout=self.limits.settling * 1000)
        return await self._take(page, answer)

    async def _take(self, page: "Page", answer: "Response | None") -> Rendered:
        if not page.url.startswith(("http:", "https:")):
            raise FetchRefusedError("it leads to where nothing may be reached")
        size = await page.evaluate("document.documentElement.outerHTML.length")
        if size > self.limits.html_bytes:
            raise FetchRefusedError(f"rendered it has more than {self.limits.html_bytes:,} characters")
        headers = await answer.headers_array() if answer is not None else []
        robots = tuple(header["value"] for header in headers if header["name"].lower() == "x-robots-tag")
        return Rendered(
            url=page.url,
            status=answer.status if answer is not None else 200,
            html=await page.content(),
            robots=robots,
        )

    @asynccontextmanager
    async def _context(self, browser: "Browser", proxy: Proxy) -> AsyncIterator["BrowserContext"]:
        """A browser without a past, which knows one way out."""
        context = await browser.new_context(
            # Chromium goes past a proxy to the loopback, unless told not to.
            proxy={"server": proxy.url, "bypass": "<-loopback>"},
            user_agent=self.user_agent,
            accept_downloads=False,
            service_workers="block",
            bypass_csp=False,
        )
        try:
            await context.route("**/*", _let_through)
            yield context
        finally:
            with suppress(Exception):
                await context.close()

    async def _open(self) -> "Browser":
        from playwright.async_api import async_playwright

        if self._browser is not None and (self._pages >= _PAGES or not self._browser.is_connected()):
            await self.close()
        if self._browser is None:
            driver = await async_playwright().start()
            self._driver = driver
            self._browser = await driver.chromium.launch(
                executable_path=self.executable,
                args=[*_FLAGS, f"--js-flags=--max-old-space-size={self.limits.heap_mb}"],
                # Per context there is another; without one here some platforms ignore that.
                proxy={"server": "http://127.0.0.1:9"},
            )
            self._pages = 0
        self._pages += 1
        return self._browser


async def _let_through(route: "Route") -> None:
    if route.request.resource_type in _BLOCKED or not route.request.url.startswith(("http:", "https:")):
        await route.abort()
    else:
        await route.continue_()


async def _crash(page: "Page") -> None:
    crashed = asyncio.Event()
    page.on("crash", lambda _: crashed.set())
    await crashed.wait()
