"""Local copies of files go with their work, and those of a killed process with the next one."""

import asyncio
import os
import signal
import sys
import tempfile
from pathlib import Path

import pytest

from local.process import ROOT
from shared.knowledge.local_copy import local_directory, remove_left

_WORKER = """
import time
from shared.knowledge.local_copy import local_directory
with local_directory() as path:
    (path / "file").write_bytes(b"copy")
    print(path, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files are."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def names(place: Path) -> set[str]:
    return {path.name for path in place.iterdir()}


def test_a_directory_goes_with_its_work(place: Path) -> None:
    with local_directory() as path:
        (path / "file").write_bytes(b"copy")
        assert path.parent == place
    assert names(place) == set()


async def test_only_what_a_dead_process_left_is_removed(place: Path) -> None:
    other = place / "weir-test"
    other.mkdir()
    (place / "weir-copy-link").symlink_to(other)
    environment = {**os.environ, "TMPDIR": str(place), "PYTHONPATH": str(ROOT)}
    worker = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _WORKER), env=environment, stdout=asyncio.subprocess.PIPE
    )
    assert worker.stdout
    copy = Path((await worker.stdout.readline()).decode().strip()) / "file"
    with local_directory() as own:
        assert remove_left() == 0
        assert copy.read_bytes() == b"copy"
        worker.send_signal(signal.SIGKILL)
        await worker.wait()
        assert remove_left() == 1
        assert not copy.parent.exists()
        assert own.exists()
    assert names(place) == {"weir-test", "weir-copy-link"}
