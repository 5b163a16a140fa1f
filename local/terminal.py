"""What the person at the terminal sees: spinners and colour there, plain lines in a file or a pipe."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn


class Terminal:
    """Steps with their time, a bar for counted work, and text that streams."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        self._progress: Progress | None = None
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since this terminal was made."""
        return time.monotonic() - self._started

    @contextmanager
    def progress(self) -> Iterator[None]:
        """Show running steps live, as long as this block lasts."""
        columns = (SpinnerColumn(), TextColumn("{task.description}"))
        with Progress(*columns, console=self._console, transient=True, disable=self._plain) as progress:
            self._progress = progress
            try:
                yield
            finally:
                self._progress = None

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """One piece of work: a spinner while it lasts, a line with its seconds when it is done."""
        started = time.monotonic()
        task: TaskID | None = self._progress.add_task(name, total=None) if self._progress else None
        try:
            yield
        finally:
            if self._progress is not None and task is not None:
                self._progress.remove_task(task)
        self._console.print(f"  [green]✓[/] {name}  [dim]{time.monotonic() - started:.1f} s[/]")

    @contextmanager
    def counted(self, name: str, total: int) -> Iterator["Counter"]:
        """Work that is counted: a bar, or one line at the end."""
        columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, console=self._console, transient=True, disable=self._plain) as progress:
            yield Counter(progress, progress.add_task(name, total=total))
        self._console.print(f"  [green]✓[/] {name}")

    def line(self, text: str = "") -> None:
        """One line; rich's markup applies."""
        self._console.print(text, soft_wrap=True)

    def problem(self, text: str) -> None:
        """Something that went wrong; printed as it is."""
        self._console.print(text, style="red", markup=False, soft_wrap=True)

    def quiet(self, text: str) -> None:
        """One line of less weight; printed as it is."""
        self._console.print(text, style="dim", markup=False, soft_wrap=True)

    def stream(self, text: str) -> None:
        """A piece of text, at once and without a line end; printed as it is."""
        self._console.print(text, end="", markup=False, soft_wrap=True)

    @property
    def _plain(self) -> bool:
        return not self._console.is_terminal


class Counter:
    """How far counted work is."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def show(self, done: int) -> None:
        """So much is done."""
        self._progress.update(self._task, completed=done)
