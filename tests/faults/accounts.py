"""The accounting function on its queue, in a process of its own, and what it has booked."""

import os
import signal
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from local.process import ROOT, Child, Launcher, Program
from shared.aws.clients import call, client
from shared.postgres.database import Database
from tests.faults.waiting import until

# Seconds: what failed comes back to the worker later each time.
_LONG = 60.0


@dataclass
class Accounting:
    """A worker that may be killed and started again."""

    launcher: Launcher
    program: Program
    child: Child | None = None

    async def start(self) -> None:
        """Start it; it takes messages from then on."""
        self.child = await self.launcher.start(self.program)

    async def kill(self) -> None:
        """End it as a crash would."""
        assert self.child is not None
        os.kill(self.child.pid, signal.SIGKILL)
        await self.child.end

    async def until_empty(self, queue_url: str) -> None:
        """Wait until it has worked off all that waits in its queue."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]

        async def empty() -> bool:
            asked = {"QueueUrl": queue_url, "AttributeNames": names}
            answer = await call(client("sqs").get_queue_attributes, **asked)
            return all(answer["Attributes"][name] == "0" for name in names)

        await until(empty, seconds=_LONG)

    async def stop(self) -> None:
        """End it as a new version would."""
        if self.child is not None:
            await self.child.stop(grace=8)


def accounting_program(cloud: Mapping[str, str], database_url: str, queue_url: str) -> Program:
    """The worker as `make run` starts it."""
    return Program(
        name="accounting",
        argv=[sys.executable, "-m", "local.servers.worker", "accounting", queue_url],
        environment={
            **cloud,
            "PYTHONPATH": os.pathsep.join([str(ROOT / "functions"), str(ROOT)]),
            "DATABASE_URL": database_url,
            "WEIR_DATABASE_SECRET": "env:DATABASE_URL",
        },
    )


async def booked(database: Database, tenant_id: str) -> list[str]:
    """The request ids in a tenant's ledger, in order; a request that was booked twice is there twice."""
    async with database.tenant(tenant_id) as connection:
        rows = await connection.execute("SELECT request_id FROM usage_records ORDER BY request_id")
        return [row["request_id"] async for row in rows]


async def all_booked(database: Database, tenant_id: str, request_ids: Collection[str]) -> list[str]:
    """What is booked once all of these are.

    Raises:
        TimeoutError: One of them is not booked after a minute.
    """
    wanted = set(request_ids)

    async def whole() -> bool:
        return wanted <= set(await booked(database, tenant_id))

    await until(whole, seconds=_LONG)
    return await booked(database, tenant_id)
