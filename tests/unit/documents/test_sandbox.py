"""The process in which files are read, and what hostile files do to it: nothing but end with a reason."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.documents.document import Document, UnreadableDocumentError
from shared.documents.sandbox import Sandbox, SandboxLimits
from tests.unit.documents.hostile_files import HOSTILE
from tests.unit.documents.made_files import Words, pdf

LIMITS = SandboxLimits(memory_bytes=700 * 2**20, seconds=60.0)
# The name of the file -> what is read of it, or why it is not.
READ = {
    "deep.md": "deep",
    "entity.epub": "x",
    "entity.xlsx": "secret",
    "flate-bomb.pdf": "",
    "header.eml": "Text",
    "line.txt": "word word",
    "loop.pdf": "",
    "brackets.md": "[[[",
    "macro.docm": "Text",
    "marks.txt": "\u1ea1",
    "page.docx": "A page under another name",
    "picture.pdf": "",
    "slide-circle.pptx": "deep",
    "spaces.txt": "a ",
}
REFUSED = {
    "bomb.docx": "far more than its size",
    "bomb.xlsx": "far more than its size",
    "deep.eml": "e-mail is damaged",
    "deep.html": "nested too deeply",
    "deep.json": "nested too deeply",
    "encrypted.docx": "without a password",
    "encrypted.pdf": "without a password",
    "entity.docx": "document type|damaged",
    "form-loop.pdf": "made its reader break off",
    "garbage.pdf": "damaged",
    "laughs.docx": "damaged",
    "laughs.xlsx": "damaged",
    "line.csv": "Line 2 is longer",
    "line.html": "larger than 64 MB",
    "line.json": "larger than 64 MB",
    "line.jsonl": "Line 1 is longer",
    "line.md": "characters of text",
    "locked.docx": "encrypted",
    "lying-bomb.docx": "damaged",
    "no-xref.pdf": "damaged",
    "overlapping.docx": "more than 10,000 files",
    "program.docx": "a program",
    "quote.csv": "quote left open",
    "text.xlsx": "damaged or cut short",
    "wide.xlsx": "more than 4,000,000 cells",
}


@pytest.fixture(scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(LIMITS) as box:
        yield box


async def read(sandbox: Sandbox, path: Path) -> Document:
    plan = await sandbox.plan(path, path.name, None)
    return await sandbox.parse(path, plan, plan.parts[0])


def written(directory: Path, name: str, data: bytes) -> Path:
    path = directory / name
    path.write_bytes(data)
    return path


def test_every_hostile_file_has_an_expectation() -> None:
    assert set(HOSTILE) == set(READ) | set(REFUSED)


@pytest.mark.parametrize("name", sorted(READ))
async def test_of_a_hostile_file_the_harmless_part_is_read(
    sandbox: Sandbox, name: str, tmp_path: Path
) -> None:
    path = written(tmp_path, name, HOSTILE[name]())
    plan = await sandbox.plan(path, name, None)
    first = plan.parts[0]
    if first.start is not None:
        os.truncate(path, first.end or 0)
    document = await sandbox.parse(path, plan, first)
    assert READ[name] in document.text
    assert "root:" not in document.text


@pytest.mark.parametrize("name", sorted(REFUSED))
async def test_a_hostile_file_is_refused_with_a_reason(sandbox: Sandbox, name: str, tmp_path: Path) -> None:
    path = written(tmp_path, name, HOSTILE[name]())
    with pytest.raises(UnreadableDocumentError, match=REFUSED[name]):
        await read(sandbox, path)


async def test_a_file_after_a_crash_is_read(sandbox: Sandbox, tmp_path: Path) -> None:
    path = written(tmp_path, "a.pdf", pdf([Words("Some words.", 700)]))
    for kill in (False, True, False):
        if kill:
            os.kill(_pid(sandbox), signal.SIGKILL)
            with pytest.raises(UnreadableDocumentError, match="made its reader break off"):
                await read(sandbox, path)
        else:
            assert (await read(sandbox, path)).text == "Some words."
    assert (await sandbox.page_image(path, 1)).startswith(b"\x89PNG")


async def test_time_is_bounded_and_the_next_file_is_read(tmp_path: Path) -> None:
    slow = written(tmp_path, "slow.txt", ("a" + "\u0301\u0323" * 2_000_000).encode())
    quick = written(tmp_path, "quick.txt", b"Some words.")
    async with Sandbox(SandboxLimits(seconds=2.0)) as sandbox:
        with pytest.raises(UnreadableDocumentError, match="takes longer than 2 seconds"):
            await read(sandbox, slow)
        assert sandbox._process is None
    async with Sandbox(LIMITS) as sandbox:
        assert (await read(sandbox, quick)).text == "Some words."


async def test_a_cancelled_call_leaves_no_answer_for_the_next(sandbox: Sandbox, tmp_path: Path) -> None:
    slow = written(tmp_path, "slow.txt", ("a" + "\u0301\u0323" * 2_000_000).encode())
    quick = written(tmp_path, "quick.txt", b"Some words.")
    plan = await sandbox.plan(slow, "slow.md", None)
    task = asyncio.create_task(sandbox.parse(slow, plan, plan.parts[0]))
    waiting = asyncio.create_task(read(sandbox, quick))
    await asyncio.sleep(0)
    pid = _pid(sandbox)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await waiting).text == "Some words."
    assert _pid(sandbox) != pid


async def test_the_process_is_started_anew_after_its_share(tmp_path: Path) -> None:
    path = written(tmp_path, "a.txt", b"Some words.")
    async with Sandbox(SandboxLimits(documents=2)) as sandbox:
        pids = set()
        for _ in range(2):
            await read(sandbox, path)
            pids.add(_pid(sandbox))
        assert len(pids) == 2


async def test_the_environment_stays_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    path = written(tmp_path, "a.txt", b"Some words.")
    async with Sandbox(LIMITS) as fresh:
        await read(fresh, path)
        assert b"secret" not in _environment_of(_pid(fresh))


_ATTEMPTS = """
import os, socket, subprocess, sys
from pathlib import Path
from shared.documents.child import Allowed
allowed = Allowed()
sys.addaudithook(allowed.audit)
allowed.file = Path({path!r})
for attempt in (
    lambda: socket.socket(),
    lambda: socket.getaddrinfo("localhost", 80),
    lambda: subprocess.run(["true"]),
    lambda: os.system("true"),
    lambda: os.fork(),
    lambda: open("/etc/passwd"),
    lambda: open("/proc/self/environ"),
    lambda: open({path!r}, "w"),
    lambda: os.open({path!r}, os.O_RDWR),
):
    try:
        attempt()
    except PermissionError:
        continue
    print("was allowed")
print(open({path!r}).read(), "and", __import__("colorsys").__name__)
"""


def test_nothing_but_the_file_and_python_is_opened(tmp_path: Path) -> None:
    path = written(tmp_path, "a.txt", b"the file")
    code = _ATTEMPTS.format(path=str(path))
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "the file and colorsys\n"


def test_without_a_parent_the_work_ends(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "shared.documents.child", str(2**30), "1"],
        input=b"",
        capture_output=True,
        check=True,
    )
    assert (run.stdout, run.stderr) == (b"", b"")


def _environment_of(pid: int) -> bytes:
    environment = Path(f"/proc/{pid}/environ")
    return environment.read_bytes() if environment.exists() else b""


def _pid(sandbox: Sandbox) -> int:
    assert sandbox._process is not None
    return sandbox._process.pid
