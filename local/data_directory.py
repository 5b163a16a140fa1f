"""The data directory of one stack: who uses it, and what it tells scripts."""

import asyncio
import fcntl
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from local.process import LocalError

# Seconds that the processes of a killed stack may take to end.
_HANDOVER = 15.0


@dataclass(frozen=True, kw_only=True)
class Access:
    """What a script needs to call the stack. `<data>/local.json` holds it, readable by its owner alone."""

    base_url: str
    api_key: str
    admin_key: str


def read_access(file: Path) -> Access | None:
    """The access that an earlier start wrote, if it did."""
    try:
        return Access(**json.loads(file.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def write_access(file: Path, access: Access) -> None:
    """Write the access whole or not at all, so that a script which waits for the file never reads half."""
    unfinished = file.with_name(f"{file.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        json.dump(asdict(access), stream, indent=2)
    unfinished.rename(file)


@asynccontextmanager
async def exclusive(directory: Path) -> AsyncIterator[int]:
    """Hold the directory for this process, and yield the descriptor that locks it.

    A child that inherits the descriptor goes on holding the directory when this process is killed: then the
    next start waits until that child is gone too.

    Raises:
        LocalError: Another stack runs on it, or it cannot be written.
    """
    descriptor = await asyncio.to_thread(_open, directory)
    try:
        await _lock(descriptor, directory)
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


def _open(directory: Path) -> int:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        return os.open(directory / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise LocalError(f"The data directory {directory} cannot be used: {error}") from None


async def _lock(descriptor: int, directory: Path) -> None:
    deadline = time.monotonic() + _HANDOVER
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        holder = os.pread(descriptor, 20, 0).decode()
        if _alive(holder) or time.monotonic() > deadline:
            raise LocalError(f"Weir already runs on {directory} (process {holder}). Stop it, or use --data.")
        await asyncio.sleep(0.1)


def _alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return True
