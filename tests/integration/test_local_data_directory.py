"""One stack per data directory, and keys that only their owner can read."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from local.data_directory import Access, exclusive, read_access, write_access
from local.process import ROOT, LocalError

ACCESS = Access(base_url="http://127.0.0.1:8000/v1", api_key="sk-weir-a", admin_key="sk-weir-b")

# Takes the directory, starts a child that inherits the lock, and dies without a word.
_KILLED = """
import asyncio, os, pathlib, subprocess, sys
from local.data_directory import exclusive
async def main():
    async with exclusive(pathlib.Path(sys.argv[1])) as lock:
        subprocess.Popen(["sleep", sys.argv[2]], pass_fds=[lock], stdout=subprocess.DEVNULL)
        print("held", flush=True)
        os.kill(os.getpid(), 9)
asyncio.run(main())
"""


async def test_a_second_stack_is_refused_and_told_of_the_first(tmp_path: Path) -> None:
    async with exclusive(tmp_path):
        with pytest.raises(LocalError, match=rf"already runs on .*process {os.getpid()}"):
            async with exclusive(tmp_path):
                pass
    async with exclusive(tmp_path):
        pass


async def test_a_start_waits_for_the_children_of_a_killed_stack(tmp_path: Path) -> None:
    killed = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _KILLED, str(tmp_path), "1"), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    await killed.wait()
    loop = asyncio.get_running_loop()
    asked = loop.time()
    async with exclusive(tmp_path):
        assert loop.time() - asked > 0.3


async def test_a_directory_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LocalError, match="cannot be used"):
        async with exclusive(tmp_path / "file" / "below"):
            pass


def test_access_is_kept_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "local.json"
    assert read_access(file) is None
    write_access(file, ACCESS)
    assert read_access(file) == ACCESS
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_text("{broken")
    assert read_access(file) is None
