"""The way out of the browser: no form of a private address and no name that changes gets past it."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from rendering.proxy import Proxy, running_proxy
from tests.integration.scraping_site import Listener, Site, running_listener, running_site
from tests.integration.test_scraping_fetch import LOOPBACKS, NAMES


class Resolver:
    """Answers from a script, the last answer from then on; literals are what they are."""

    def __init__(self, names: dict[str, list[list[str]]]) -> None:
        self._names = {name: list(answers) for name, answers in names.items()}

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        answers = self._names.get(host, [[host]])
        return answers.pop(0) if len(answers) > 1 else answers[0]


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with running_site({"/": "<p>Here.</p>"}) as running:
        yield running


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    async with running_listener() as running:
        yield running


@pytest.fixture
async def proxy(site: Site) -> AsyncIterator[Proxy]:
    names = NAMES | {"rebinding.test": [["127.0.0.1"], ["1.1.1.1"]], "site.test": [["127.0.0.1"]]}
    permitted = [site.host, f"site.test:{site.host.rpartition(':')[2]}"]
    async with running_proxy(max_bytes=1_000, permitted_hosts=permitted, resolve=Resolver(names)) as running:
        yield running


async def ask(proxy: Proxy, request: bytes) -> bytes:
    """All that the proxy answers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        writer.write(request)
        return await reader.read()
    finally:
        writer.close()


@pytest.mark.parametrize("form", ["CONNECT", "GET"])
async def test_no_form_of_a_private_address_is_reached(proxy: Proxy, listener: Listener, form: str) -> None:
    hosts = [*LOOPBACKS, "rebinding.test"]
    assert len(hosts) >= 40
    for host in hosts:
        target = f"{host}:{listener.port}" if form == "CONNECT" else f"http://{host}:{listener.port}/"
        answer = await ask(proxy, f"{form} {target} HTTP/1.1\r\n\r\n".encode())
        assert not answer.startswith(b"HTTP/1.1 200"), host
    assert (listener.connections, proxy.connections) == (0, 0)
    assert proxy.refused > 30


async def test_what_is_permitted_is_passed_on_without_what_is_between(proxy: Proxy, site: Site) -> None:
    request = f"GET http://{site.host}/ HTTP/1.1\r\nHost: {site.host}\r\nProxy-Connection: keep-alive\r\n\r\n"
    assert (await ask(proxy, request.encode())).endswith(b"<p>Here.</p>")
    (visit,) = site.visits
    assert (visit.path, visit.headers["Connection"]) == ("/", "close")
    assert "Proxy-Connection" not in visit.headers


async def test_a_tunnel_passes_bytes_both_ways(proxy: Proxy, site: Site) -> None:
    port = site.host.rpartition(":")[2]
    request = (
        f"CONNECT site.test:{port} HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    assert (await ask(proxy, request.encode())).endswith(b"<p>Here.</p>")


async def test_a_page_receives_so_many_bytes_and_no_more(proxy: Proxy, site: Site) -> None:
    site.pages["/large"] = "x" * 1_000_000
    request = f"GET http://{site.host}/large HTTP/1.1\r\nHost: {site.host}\r\n\r\n"
    assert len(await ask(proxy, request.encode())) < 200_000


@pytest.mark.parametrize(
    "request_",
    [b"\r\n\r\n", b"GET\r\n\r\n", b"\xff\xfe x\r\n\r\n", b"x" * 200_000, b"CONNECT a:b HTTP/1.1\r\n\r\n"],
)
async def test_what_is_no_request_ends(proxy: Proxy, request_: bytes) -> None:
    try:
        answer = await ask(proxy, request_)
    except ConnectionError:
        answer = b""
    assert not answer.startswith(b"HTTP/1.1 200")
    assert proxy.connections == 0


@pytest.mark.parametrize("port", [22, 25, 587])
async def test_ports_of_other_services_are_closed(proxy: Proxy, port: int) -> None:
    answer = await ask(proxy, f"CONNECT 1.1.1.1:{port} HTTP/1.1\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 403")
