"""`python -m local`: the whole stack starts, serves the SDK and the page, ends, and finds its data again."""

import asyncio
import signal
import socket
import sys
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from openai import AsyncOpenAI, AuthenticationError

from local.components.cloud import install_cloud
from local.data_directory import Access, read_access
from local.process import ROOT

pytestmark = pytest.mark.timeout(180)

LOGBOOKS = 6
TEXT = "# Lighthouse\n\nThe lighthouse keeper is called Ottoline. She paints the tower every seventh year.\n"


@dataclass(frozen=True)
class Stack:
    """A running `python -m local up`."""

    process: asyncio.subprocess.Process
    access: Access
    family: list[psutil.Process]

    async def end(self, number: signal.Signals) -> int:
        """Send a signal; the exit code, once every process of the stack is gone."""
        self.process.send_signal(number)
        code = await self.process.wait()
        _, left = await asyncio.to_thread(psutil.wait_procs, self.family, timeout=15)
        assert not left
        return code


async def _command(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "local", *arguments), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )


async def _start(data: Path) -> Stack:
    ready = data.with_name(f"{data.name}.ready")
    ready.unlink(missing_ok=True)  # The last start's says nothing of this one.
    process = await _command("up", "--data", str(data), "--port", "0", "--ready-file", str(ready))
    assert process.stdout is not None
    printed = ""
    while not printed.endswith("Ctrl-C stops it.\n"):
        line = (await process.stdout.readline()).decode()
        assert line, f"the stack ended: {printed}"
        printed += line
    async with asyncio.timeout(5):
        while (access := read_access(ready)) is None:  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.02)
    assert read_access(data / "local.json") == access
    return Stack(process, access, psutil.Process(process.pid).children(recursive=True))


async def _output(*arguments: str) -> tuple[int | None, str]:
    process = await _command(*arguments)
    printed, _ = await process.communicate()
    return process.returncode, printed.decode().strip()


@pytest.fixture(scope="module")
async def served(data: Path) -> AsyncIterator[Stack]:
    await install_cloud()
    running = await _start(data / "served")
    yield running
    await running.end(signal.SIGTERM)


@pytest.fixture
async def openai(served: Stack) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=served.access.base_url, api_key=served.access.api_key) as client:
        yield client


async def test_the_sdk_sees_the_local_models(openai: AsyncOpenAI) -> None:
    names = {model.id async for model in openai.models.list()}
    assert {"smollm2-135m-instruct", "use-multilingual-v3"} <= names


async def test_a_document_is_ingested_by_the_real_road_and_found(openai: AsyncOpenAI) -> None:
    store = await openai.vector_stores.create(name="lighthouse")
    upload = ("lighthouse.md", TEXT.encode())
    file = await openai.files.create(file=upload, purpose="assistants")
    attached = await openai.vector_stores.files.create_and_poll(
        file_id=file.id, vector_store_id=store.id, poll_interval_ms=100
    )
    assert attached.status == "completed", attached.last_error
    found = await openai.vector_stores.search(store.id, query="Who is the lighthouse keeper?")
    assert "Ottoline" in found.data[0].content[0].text


async def test_an_unknown_key_is_refused_by_both_functions(served: Stack) -> None:
    async with AsyncOpenAI(base_url=served.access.base_url, api_key="sk-weir-wrong") as stranger:
        with pytest.raises(AuthenticationError):
            await stranger.models.list()
        with pytest.raises(AuthenticationError):
            await stranger.files.list()


async def test_the_page_is_served(served: Stack) -> None:
    def fetch() -> tuple[str, str]:
        with urllib.request.urlopen(served.access.base_url.removesuffix("v1")) as answer:
            return answer.headers["content-type"], answer.read().decode()

    media_type, page = await asyncio.to_thread(fetch)
    assert media_type.startswith("text/html")
    assert "<title>" in page


async def test_a_second_stack_on_the_same_data_is_one_clear_line(served: Stack, data: Path) -> None:
    code, printed = await _output("up", "--data", str(data / "served"), "--port", "0")
    assert code == 1
    assert printed.startswith("Weir already runs on")
    assert "\n" not in printed


async def test_a_taken_port_is_one_clear_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, printed = await _output("run", "--data", str(tmp_path), "--port", str(port))
    assert code == 1
    assert printed.startswith(f"Port {port} of 127.0.0.1 cannot be used")
    assert f"PORT={port + 1}" in printed
    assert "\n" not in printed


async def test_a_stack_ends_with_all_it_started_and_finds_its_data_again(data: Path) -> None:
    await install_cloud()
    first = await _start(data / "again")
    async with AsyncOpenAI(base_url=first.access.base_url, api_key=first.access.api_key) as openai:
        store = await openai.vector_stores.create(name="kept")
    assert await first.end(signal.SIGINT) == 0

    second = await _start(data / "again")
    assert second.access.api_key == first.access.api_key
    async with AsyncOpenAI(base_url=second.access.base_url, api_key=second.access.api_key) as openai:
        assert (await openai.vector_stores.retrieve(store.id)).name == "kept"
    assert await second.end(signal.SIGKILL) == -signal.SIGKILL


async def test_an_interrupted_ingestion_completes_after_the_next_start(data: Path) -> None:
    await install_cloud()
    first = await _start(data / "interrupted")
    async with AsyncOpenAI(base_url=first.access.base_url, api_key=first.access.api_key) as openai:
        store = await openai.vector_stores.create(name="logbooks")
        for year in range(1900, 1900 + LOGBOOKS):
            file = await openai.files.create(file=(f"{year}.md", _logbook(year)), purpose="assistants")
            await openai.vector_stores.files.create(store.id, file_id=file.id)
        while not (  # noqa: ASYNC110 - another process works
            counts := (await openai.vector_stores.retrieve(store.id)).file_counts
        ).completed:
            await asyncio.sleep(0.02)
        assert counts.in_progress > 0, "all done before it could be interrupted: make the logbooks longer"
    assert await first.end(signal.SIGINT) == 0

    second = await _start(data / "interrupted")
    async with AsyncOpenAI(base_url=second.access.base_url, api_key=second.access.api_key) as openai:
        # Sooner than a lease ends: the stopped worker let go of the jobs that it held.
        async with asyncio.timeout(50):
            while (  # noqa: ASYNC110 - another process works
                counts := (await openai.vector_stores.retrieve(store.id)).file_counts
            ).in_progress:
                await asyncio.sleep(0.2)
        assert (counts.completed, counts.total) == (LOGBOOKS, LOGBOOKS)
        found = await openai.vector_stores.search(store.id, query="keeper of the light", max_num_results=50)
        # Each logbook is one chunk per day; a day found twice would be a doubled one.
        places = [(page.file_id, page.content[0].text) for page in found.data]
        assert len(places) == len(set(places)) == 50
    assert await second.end(signal.SIGINT) == 0


def _logbook(year: int) -> bytes:
    """Fifteen chunks that embed for about half a second."""
    days = (
        f"## Day {day} of {year}\n\n" + f"The keeper of the light wrote on day {day} of {year}. " * 24
        for day in range(15)
    )
    return "\n\n".join(days).encode()
