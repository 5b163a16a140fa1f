"""Servers that a test may kill, freeze and start again at the place where they were."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import RedisError

from local.components.valkey import start_valkey
from local.process import Child, Launcher
from tests.faults.waiting import until


@dataclass
class ValkeyServer:
    """One Valkey and its process."""

    url: str
    cluster: bool
    launcher: Launcher
    child: Child

    def freeze(self) -> None:
        """Stop it where it stands; its connections stay open."""
        os.kill(self.child.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.child.pid, signal.SIGCONT)

    async def kill(self) -> None:
        """End it as a crash would."""
        os.kill(self.child.pid, signal.SIGKILL)
        await self.child.end

    async def start_again(self) -> None:
        """Start it anew, with what it had saved, and wait until it answers."""
        self.child = await self.launcher.start(self.child.program)
        await self.child.ready(self._answers)

    async def until_logged(self, tenant_id: str, answer_id: str) -> None:
        """Wait until an answer's log has its first items."""
        async with Redis.from_url(self.url) as client:

            async def logged() -> bool:
                names = [name async for name in client.scan_iter(f"log:{{{tenant_id}:*}}:{answer_id}")]
                return any([await client.xlen(name) for name in names])

            await until(logged)

    async def until_readers(self, count: int) -> None:
        """Wait until so many requests follow others."""
        async with Redis.from_url(self.url) as client:

            async def enough() -> bool:
                names = [name async for name in client.scan_iter("readers:*")]
                return sum([await client.zcard(name) for name in names]) >= count

            await until(enough)

    async def _answers(self) -> bool:
        try:
            async with Redis.from_url(self.url) as client:
                return bool(await client.ping())
        except (RedisError, OSError):
            return False


async def start_valkey_server(directory: Path, launcher: Launcher, *, cluster: bool) -> ValkeyServer:
    """Start one; nothing else runs under this launcher."""
    url = await start_valkey(directory, launcher, cluster=cluster)
    (child,) = launcher.children
    return ValkeyServer(url, cluster, launcher, child)
