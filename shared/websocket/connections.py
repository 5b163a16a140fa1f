"""Who is connected, in Valkey; a key's connections are counted and bounded."""

from pydantic import BaseModel, ConfigDict

from shared.errors import RateLimitError, UnavailableError
from shared.valkey.client import Valkey
from shared.valkey.script import Script

_OPEN = Script("shared.websocket", "connection_open.lua")

# API Gateway ends a connection after two hours.
# https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html
_LIFETIME_MS = 2 * 3600 * 1000 + 60_000


class Connection(BaseModel):
    """One open connection: whose key opened it, and that key's hash (hex)."""

    model_config = ConfigDict(frozen=True)

    tenant_id: str
    key_id: str
    key_hash: str


class Connections:
    """Every open connection of the deployment."""

    def __init__(self, valkey: Valkey, *, per_key: int) -> None:
        """`per_key`: connections that one key may have at once."""
        self._valkey = valkey
        self._per_key = per_key

    async def open(self, connection_id: str, connection: Connection) -> None:
        """Note a connection.

        Raises:
            RateLimitError: Its key has too many already.
            UnavailableError: Valkey is gone, and nothing can be kept.
        """
        key, lifetime = _of_key(connection), _LIFETIME_MS
        counted = await self._valkey.attempt(
            lambda client: _OPEN.run(client, [key], [connection_id, self._per_key, lifetime])
        )
        if counted == 0:
            raise RateLimitError(
                f"This key has {self._per_key} connections open already; close one first.", retry_after=1.0
            )
        value = connection.model_dump_json()
        noted = await self._valkey.attempt(
            lambda client: client.set(connection_key(connection_id), value, px=_LIFETIME_MS)
        )
        if not (counted and noted):
            raise UnavailableError(
                "Connections cannot be kept at the moment; use HTTP, or try again shortly."
            )

    async def find(self, connection_id: str) -> Connection | None:
        """A connection; `None` when it is closed, or Valkey is gone."""
        stored = await self._valkey.attempt(lambda client: client.get(connection_key(connection_id)))
        return Connection.model_validate_json(stored) if stored else None

    async def close(self, connection_id: str) -> None:
        """Forget a connection; its turns notice."""
        connection = await self.find(connection_id)
        await self._valkey.attempt(lambda client: client.delete(connection_key(connection_id)))
        if connection is not None:
            key = _of_key(connection)
            await self._valkey.attempt(lambda client: client.zrem(key, connection_id))


def connection_key(connection_id: str) -> str:
    """Where a connection is in Valkey; its turns are beside it, under the same hash tag."""
    return f"ws:{{{connection_id}}}"


def _of_key(connection: Connection) -> str:
    return f"ws-key:{{{connection.key_id}}}"
