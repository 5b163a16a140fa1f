"""Child processes: started with a log of their own, watched until they answer, ended with certainty."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).resolve().parent.parent

_GUARD = Path(__file__).parent / "guard.py"
_LAST_LINES = 12


class LocalError(Exception):
    """Something that the person at the terminal can put right; the message is all they need to see."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program to run as a child.

    Attributes:
        name: Names the log file and every message about the child.
        environment: Added to the launcher's own, of which no `AWS_` variable is handed on.
        account: User and group id to run as, when the launcher is root.
        stop_signal: The signal that asks for a clean end.
    """

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    directory: Path = ROOT
    account: tuple[int, int] | None = None
    stop_signal: signal.Signals = signal.SIGTERM


class Child:
    """A running child process."""

    def __init__(
        self, program: Program, process: asyncio.subprocess.Process, log: Path, log_start: int
    ) -> None:
        self.name = program.name
        self.pid = process.pid
        self.log = log
        self.program = program
        self._process = process
        self._log_start = log_start
        # Followed at once, so that its number is never used again after the system has given it to another.
        self.end = asyncio.create_task(self._follow())

    async def ready(self, probe: Callable[[], Awaitable[bool]], *, timeout: float = 30.0) -> None:  # noqa: ASYNC109
        """Wait until `probe` answers true.

        Raises:
            LocalError: The child ended, or did not answer within `timeout` seconds. Shows the end of its log.
        """
        try:
            async with asyncio.timeout(timeout):
                while not await probe():
                    if self._process.returncode is not None:
                        raise LocalError(self._report(f"ended with code {self._process.returncode} at start"))
                    await asyncio.sleep(0.03)
        except TimeoutError:
            raise LocalError(self._report(f"did not answer within {timeout:.0f} seconds")) from None

    def output(self) -> str:
        """What the child has printed so far; its log file may also hold that of earlier ones."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    async def ended(self) -> str:
        """Wait for the child to end, and say how."""
        code = await asyncio.shield(self.end)
        return self._report(f"ended with code {code}")

    async def stop(self, *, grace: float) -> None:
        """Ask for a clean end; `grace` seconds later kill what is left of the process group."""
        if not self.end.done():
            with suppress(ProcessLookupError):
                self._process.send_signal(self.program.stop_signal)
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self.end), grace)
        if not self.end.done():
            self._kill_group()
        await self.end

    async def _follow(self) -> int:
        code = await self._process.wait()
        self._kill_group()
        return code

    def _kill_group(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def _report(self, what: str) -> str:
        lines = self.output().splitlines()[-_LAST_LINES:]
        return "\n".join([f"{self.name} {what}; its log is {self.log}", *(f"  | {line}" for line in lines)])


class Launcher:
    """Starts children and ends all of them when it is left. If it dies itself, its guard ends them."""

    def __init__(self, logs: Path, *, lock: int | None = None, grace: float = 8.0) -> None:
        """Args:
        logs: Directory for one `<name>.log` per child.
        lock: Descriptor of a locked file. The guard holds it too, until the last child is gone.
        grace: Seconds that a child has for a clean end.
        """
        self._logs = logs
        self._grace = grace
        self._lock = lock
        self._children: list[Child] = []
        self._guard: asyncio.subprocess.Process | None = None

    @property
    def children(self) -> tuple[Child, ...]:
        """The children that run, in the order of their start."""
        return tuple(self._children)

    async def __aenter__(self) -> Self:
        self._logs.mkdir(parents=True, exist_ok=True)
        self._guard = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(_GUARD)),
            stdin=asyncio.subprocess.PIPE,
            start_new_session=True,
            pass_fds=() if self._lock is None else (self._lock,),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.gather(*(child.stop(grace=self._grace) for child in self._children))
        guard, lines = self._running_guard()
        lines.close()
        await guard.wait()

    async def start(self, program: Program) -> Child:
        """Start one child in a process group of its own, so that the terminal's Ctrl-C is not sent to it.

        Raises:
            LocalError: The program cannot be run.
        """
        log = self._logs / f"{program.name}.log"
        log_start = log.stat().st_size if log.exists() else 0
        try:
            process = await _spawn(program, log)
        except OSError as error:
            raise LocalError(f"{program.name} cannot be started: {error}") from None
        child = Child(program, process, log, log_start)
        self._children.append(child)
        self._tell(f"+{child.pid} {program.stop_signal:d}")
        child.end.add_done_callback(lambda _: self._forget(child))
        return child

    def _forget(self, child: Child) -> None:
        self._children.remove(child)
        self._tell(f"-{child.pid}")

    def _tell(self, line: str) -> None:
        _, lines = self._running_guard()
        lines.write(f"{line}\n".encode())

    def _running_guard(self) -> tuple[asyncio.subprocess.Process, asyncio.StreamWriter]:
        if self._guard is None or self._guard.stdin is None:
            raise RuntimeError("a launcher starts children inside its `async with` block only")
        return self._guard, self._guard.stdin


async def _spawn(program: Program, log: Path) -> asyncio.subprocess.Process:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    user, group = program.account or (None, None)
    with log.open("ab") as output:
        return await asyncio.create_subprocess_exec(
            *program.argv,
            env={**inherited, **program.environment},
            cwd=program.directory,
            user=user,
            group=group,
            extra_groups=None if user is None else [],
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
