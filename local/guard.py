"""Ends the processes of a launcher that died without ending them itself (kill -9, a crash).

Runs as a child, and reads from its standard input, one line a process: `+PID SIGNAL` when one starts, `-PID`
when it has ended. The end of the input means that the launcher is gone: whatever is left gets its signal, and
`GRACE` seconds later SIGKILL. A pipe works on every Unix, and for processes that change their user, where
Linux's PR_SET_PDEATHSIG is lost.
"""

import os
import signal
import sys
import time
from contextlib import suppress
from typing import TextIO

# Seconds that a process has for a clean end.
GRACE = 5.0


def follow(lines: TextIO) -> dict[int, int]:
    """The signal of every process that still runs when `lines` end, by process id."""
    alive: dict[int, int] = {}
    for line in lines:
        words = line[1:].split()
        if line.startswith("+"):
            alive[int(words[0])] = int(words[1])
        else:
            alive.pop(int(words[0]), None)
    return alive


def end(alive: dict[int, int]) -> None:
    """Signal every process, then kill the groups of those that are still there after `GRACE` seconds."""
    for pid, number in alive.items():
        with suppress(ProcessLookupError):
            os.kill(pid, number)
    deadline = time.monotonic() + GRACE
    while time.monotonic() < deadline and any(_exists(pid) for pid in alive):
        time.sleep(0.05)
    for pid in alive:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    # Only the end of the input ends the guard: the terminal's Ctrl-C is the launcher's business.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    end(follow(sys.stdin))
