"""A Lua script in a file of its own, run in one step on plain Valkey and on a cluster alike.

Rules of a script: every key is declared, all keys share one hash tag, and time is the server's.
"""

import hashlib
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError


class Script:
    """One script; sent by its hash, and whole only to a server that does not know it yet."""

    def __init__(self, package: str, name: str) -> None:
        """Args:
        package: The package that holds the file, as `__package__`.
        name: The file's name.
        """
        self._text = files(package).joinpath(name).read_text("utf-8")
        # SHA-1 is how Valkey names scripts; nothing secret hangs on it.
        self._sha = hashlib.sha1(self._text.encode(), usedforsecurity=False).hexdigest()

    async def run(
        self, client: Redis, keys: Sequence[str], arguments: Sequence[str | bytes | int | float]
    ) -> Any:
        """What the script returns."""
        try:
            return await client.evalsha(self._sha, len(keys), *keys, *arguments)
        except NoScriptError:
            return await client.eval(self._text, len(keys), *keys, *arguments)
