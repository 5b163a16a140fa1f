"""Children end with their launcher, however it ends."""

import asyncio
import signal
import sys
from pathlib import Path

import psutil
import pytest

from local.process import ROOT, Launcher, LocalError, Program

# A child that says its process ids, its own and its own child's, and waits for a signal.
_FAMILY = """
import os, signal, subprocess, sys
child = subprocess.Popen(["sleep", "1000"])
print(os.getpid(), child.pid, flush=True)
signal.pause()
"""


def _python(name: str, code: str, **options: object) -> Program:
    return Program(name=name, argv=[sys.executable, "-c", code], **options)


async def _family(launcher: Launcher, name: str, code: str = _FAMILY) -> list[psutil.Process]:
    child = await launcher.start(_python(name, code))

    async def spoke() -> bool:
        return len(child.log.read_text().split()) == 2

    await child.ready(spoke)
    return [psutil.Process(int(pid)) for pid in child.log.read_text().split()]


async def test_leaving_the_launcher_ends_its_children(tmp_path: Path) -> None:
    async with Launcher(tmp_path) as launcher:
        family = await _family(launcher, "family")
        assert all(process.is_running() for process in family)
    await asyncio.to_thread(psutil.wait_procs, family, timeout=5)
    assert not any(process.is_running() for process in family)


async def test_a_child_that_ignores_its_signal_is_killed_with_all_it_started(tmp_path: Path) -> None:
    stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)" + _FAMILY
    async with Launcher(tmp_path, grace=0.2) as launcher:
        family = await _family(launcher, "stubborn", stubborn)
    await asyncio.to_thread(psutil.wait_procs, family, timeout=5)
    assert not any(process.is_running() for process in family)


async def test_a_child_that_dies_at_start_shows_the_end_of_its_log(tmp_path: Path) -> None:
    async with Launcher(tmp_path) as launcher:
        child = await launcher.start(_python("broken", "raise SystemExit('no such model')"))

        async def never() -> bool:
            return False

        with pytest.raises(LocalError, match=r"broken ended with code 1 at start(.|\n)*no such model"):
            await child.ready(never)


async def test_a_child_that_never_answers_is_told_of(tmp_path: Path) -> None:
    async with Launcher(tmp_path) as launcher:
        child = await launcher.start(_python("slow", "import signal; signal.pause()"))

        async def never() -> bool:
            return False

        with pytest.raises(LocalError, match="did not answer within"):
            await child.ready(never, timeout=0.2)


async def test_a_missing_program_is_one_line(tmp_path: Path) -> None:
    async with Launcher(tmp_path) as launcher:
        with pytest.raises(LocalError, match="gone cannot be started"):
            await launcher.start(Program(name="gone", argv=["/nonexistent/program"]))


async def test_no_aws_setting_of_the_user_reaches_a_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    code = "import os; print(os.environ.get('AWS_PROFILE'), os.environ['AWS_REGION'])"
    async with Launcher(tmp_path) as launcher:
        child = await launcher.start(_python("plain", code, environment={"AWS_REGION": "here"}))
        await child.ended()
    assert child.log.read_text() == "None here\n"


async def test_children_of_a_killed_launcher_end(tmp_path: Path) -> None:
    script = f"""
import asyncio, pathlib, sys
from local.process import Launcher, Program
async def main():
    async with Launcher(pathlib.Path({str(tmp_path)!r})) as launcher:
        child = await launcher.start(Program(name="family", argv=[sys.executable, "-c", {_FAMILY!r}]))
        async def spoke():
            return len(child.log.read_text().split()) == 2
        await child.ready(spoke)
        print(child.log.read_text(), flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    family = [psutil.Process(int(pid)) for pid in (await parent.stdout.readline()).split()]
    assert len(family) == 2
    parent.send_signal(signal.SIGKILL)
    await parent.wait()
    await asyncio.to_thread(psutil.wait_procs, family, timeout=10)
    assert not any(process.is_running() for process in family)
