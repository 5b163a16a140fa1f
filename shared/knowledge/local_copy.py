"""Directories for local copies of files. A process that is killed leaves its own; the next one removes them.

Whoever works in one holds a lock on it (flock), which ends with its process, however that ends.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PREFIX = "weir-copy-"


@contextmanager
def local_directory() -> Iterator[Path]:
    """A new directory, for the time of the context."""
    path, held = _locked()
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(held)


def remove_left() -> int:
    """Remove the directories of processes that are gone; how many.

    A worker of Lambda that ran out of memory or time finds its `/tmp` as it left it.
    """
    return sum(_removed(path) for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"))


def _locked() -> tuple[Path, int]:
    while True:
        path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        with suppress(FileNotFoundError):
            held = _opened(path)
            fcntl.flock(held, fcntl.LOCK_EX)
            if path.exists():
                return path, held
            # Another process took it for left, before it was locked.
            os.close(held)


def _removed(path: Path) -> bool:
    try:
        held = _opened(path)
    except OSError:
        # Gone meanwhile, or another account's.
        return False
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(path, ignore_errors=True)
    except BlockingIOError:
        return False
    finally:
        os.close(held)
    return True


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
