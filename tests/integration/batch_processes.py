"""The batch function on its queue, in processes of their own, which a test may kill."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cleanup.stuck import resend_batches
from local.lambda_function import TAKES_EVENTS
from local.process import ROOT, Child, Launcher, Program
from shared.aws.queues import Queue
from shared.postgres.database import Database
from tests.integration.batch_world import CATALOG

# A message that is due for so long is taken for lost.
_IDLE = timedelta(seconds=5)


def worker_environment(
    cloud: Mapping[str, str], functions: Mapping[str, str], provider_url: str, directory: Path
) -> dict[str, str]:
    """The variables of a worker; `functions` are those that all functions share, the catalog is made here."""
    catalog = directory / "batch-catalog.toml"
    catalog.write_text(CATALOG.format(url=provider_url))
    return {
        **cloud,
        **functions,
        "PYTHONPATH": os.pathsep.join([str(ROOT / "functions"), str(ROOT)]),
        "WEIR_CATALOG": str(catalog),
        "WEIR_BATCH_LEASE_SECONDS": "2",
        "WEIR_BATCH_PAUSE_SECONDS": "0.5",
    }


@dataclass
class Workers:
    """Some processes, each replaced when it is killed. `peaks`: megabytes that each had at most."""

    launcher: Launcher
    environment: Mapping[str, str]
    queue_url: str
    children: list[Child] = field(default_factory=list)
    peaks: list[float] = field(default_factory=list)
    kills: int = 0

    async def start(self, count: int) -> None:
        """Start so many more."""
        argv = [sys.executable, "-m", "local.servers.worker", "batch", self.queue_url]
        for _ in range(count):
            child = await self.launcher.start(Program(name="batch", argv=argv, environment=self.environment))
            self.children.append(child)

            async def ready(child: Child = child) -> bool:
                return TAKES_EVENTS in child.output()

            await child.ready(ready)

    async def kill_one(self) -> None:
        """End the oldest as a crash would, and start another in its place."""
        child = self.children.pop(0)
        assert not child.end.done(), child.output()[-20_000:]
        self.peaks.append(peak_megabytes(child.pid))
        os.kill(child.pid, signal.SIGKILL)
        await child.end
        self.kills += 1
        await self.start(1)

    async def stop(self) -> None:
        """End all."""
        while self.children:
            child = self.children.pop()
            self.peaks.append(peak_megabytes(child.pid))
            await child.stop(grace=8)


@asynccontextmanager
async def cleaning(database: Database, queue_url: str, tenant_id: str) -> AsyncIterator[None]:
    """Cleanup's chore beside the workers, often: it finds what a killed one took out of the queue."""

    async def clean() -> None:
        while True:
            await asyncio.sleep(1)
            await resend_batches(
                database, Queue(queue_url), tenant_id, now=datetime.now(UTC), idle=_IDLE, limit=100
            )

    task = asyncio.create_task(clean())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


def peak_megabytes(pid: int) -> float:
    """The most memory that a process has had (VmHWM of Linux)."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024
