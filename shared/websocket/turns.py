"""Turns under way, in Valkey: opened once, answered by one worker at a time, by lease."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from redis.asyncio import Redis

from shared.valkey.client import Valkey
from shared.valkey.script import Script
from shared.websocket.connections import connection_key

_OPEN = Script("shared.websocket", "turn_open.lua")
_CLAIM = Script("shared.websocket", "turn_claim.lua")
_KEEP = Script("shared.websocket", "turn_keep.lua")
_END = Script("shared.websocket", "turn_end.lua")
_CANCEL = Script("shared.websocket", "turn_cancel.lua")

# A turn waits for a worker so long at most, and is remembered so long: its id cannot be used again meanwhile.
_WAIT_MS = 15 * 60 * 1000
_MEMORY_MS = 3600 * 1000

Opening = Literal["opened", "gone", "taken", "full"]


@dataclass(frozen=True)
class Claim:
    """Who may answer a turn. `posted`: id of the last event that an earlier worker posted; -1 for none."""

    standing: Literal["claimed", "busy", "over"]
    posted: int


@dataclass(frozen=True)
class Sign:
    """How a turn stands: not `held`, another worker has it; not `connected`, nobody reads it."""

    held: bool
    cancelled: bool
    connected: bool


@dataclass(frozen=True)
class TurnKey:
    """One turn of one connection."""

    connection_id: str
    turn_id: str

    @property
    def name(self) -> str:
        """Of its key in Valkey."""
        return f"{connection_key(self.connection_id)}:turn:{self.turn_id}"

    @property
    def siblings(self) -> str:
        """Key of the connection's turns under way."""
        return f"{connection_key(self.connection_id)}:turns"


class Turns:
    """Every turn. `None` everywhere: Valkey is slow or gone."""

    def __init__(self, valkey: Valkey, *, per_connection: int, lease_seconds: float = 10.0) -> None:
        """Args:
        per_connection: Turns that one connection may have under way.
        lease_seconds: For how long a worker has a turn without a sign.
        """
        self._valkey = valkey
        self._per_connection = per_connection
        self._lease_ms = int(lease_seconds * 1000)

    async def open(self, turn: TurnKey, *, resumable: bool) -> Opening | None:
        """Note a turn that is about to be put on the queue."""
        keys = [connection_key(turn.connection_id), turn.siblings, turn.name]
        answer = await self._run(_OPEN, keys, [self._per_connection, _WAIT_MS, _MEMORY_MS, int(resumable)])
        opening: Opening | None = answer.decode() if answer else None
        return opening

    async def forget(self, turn: TurnKey) -> None:
        """A turn that could not be put on the queue was never opened: its id is free again."""

        async def forget(client: Redis) -> None:
            await client.delete(turn.name)
            await client.zrem(turn.siblings, turn.name)

        await self._valkey.attempt(forget)

    async def claim(self, turn: TurnKey, token: str) -> Claim | None:
        """Take a turn to answer it."""
        keys = [turn.name, turn.siblings, connection_key(turn.connection_id)]
        answer = await self._run(_CLAIM, keys, [token, self._lease_ms, _MEMORY_MS])
        return Claim(answer[0].decode(), answer[1]) if answer else None

    async def keep(self, turn: TurnKey, token: str, posted: int) -> Sign | None:
        """Renew the lease, and note the last event posted."""
        keys = [turn.name, turn.siblings, connection_key(turn.connection_id)]
        answer = await self._run(_KEEP, keys, [token, self._lease_ms, _MEMORY_MS, posted])
        return Sign(*map(bool, answer)) if answer else None

    async def end(self, turn: TurnKey, token: str) -> None:
        """The turn is over."""
        await self._run(_END, [turn.name, turn.siblings], [token])

    async def cancel(self, turn: TurnKey) -> bool:
        """The client wants no more; whether there was something to cancel."""
        return bool(await self._run(_CANCEL, [turn.name], []))

    async def _run(self, script: Script, keys: Sequence[str], arguments: Sequence[str | int]) -> Any:
        return await self._valkey.attempt(lambda client: script.run(client, keys, arguments))
