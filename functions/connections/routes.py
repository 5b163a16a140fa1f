"""The routes of the WebSocket API: each checks one thing and says so, or puts a turn on the queue."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from connections.protocols import offer
from shared.aws.management_api import ConnectionGoneError, ManagementApi
from shared.aws.queues import Queue
from shared.errors import ConflictError, RateLimitError, UnavailableError, WeirError
from shared.limits.keyring import KeyRing
from shared.telemetry import logger
from shared.websocket.connections import Connection, Connections
from shared.websocket.frames import CancelFrame, ChatFrame, PingFrame, ResumeFrame, parse_frame
from shared.websocket.packing import error, pong
from shared.websocket.tickets import Tickets
from shared.websocket.turn import Turn, answer_id_of
from shared.websocket.turns import TurnKey, Turns

_log = logger("connections")


@dataclass(frozen=True, kw_only=True)
class Routes:
    """What the routes work with."""

    keyring: KeyRing
    tickets: Tickets
    connections: Connections
    turns: Turns
    queue: Queue
    api: ManagementApi
    clock: Callable[[], datetime]

    async def connect(self, connection_id: str, headers: Mapping[str, str]) -> str | None:
        """Let a client in; the subprotocol to answer with.

        Raises:
            WeirError: It may not come in.
        """
        offered = offer(headers)
        hashed = offered.hashed or await self.tickets.redeem(offered.ticket or "")
        caller = await self.keyring.caller_of(hashed, self.clock())
        connection = Connection(tenant_id=caller.tenant_id, key_id=caller.key_id, key_hash=hashed.hex())
        await self.connections.open(connection_id, connection)
        return offered.chosen

    async def disconnect(self, connection_id: str) -> None:
        """The client is gone."""
        await self.connections.close(connection_id)

    async def frame(self, connection_id: str, text: str) -> None:
        """Take one frame; what is wrong with it is told to the client in a frame."""
        turn_id = None
        try:
            frame = parse_frame(text)
            turn_id = getattr(frame, "id", None)
            answer = await self._take(connection_id, frame)
        except WeirError as refused:
            answer = error(turn_id, refused.body())
        if answer:
            try:
                await self.api.post(connection_id, answer)
            except ConnectionGoneError:
                await self.disconnect(connection_id)

    async def _take(
        self, connection_id: str, frame: ChatFrame | CancelFrame | ResumeFrame | PingFrame
    ) -> bytes | None:
        match frame:
            case PingFrame():
                return pong()
            case CancelFrame():
                await self._cancel(TurnKey(connection_id, frame.id))
            case ChatFrame():
                await self._begin(
                    Turn(
                        kind="chat",
                        connection_id=connection_id,
                        turn_id=frame.id,
                        answer_id=answer_id_of(connection_id, frame.id),
                        key_hash=await self._key_hash(connection_id),
                        body={"stream": True, **frame.body},
                    )
                )
            case ResumeFrame():
                await self._begin(
                    Turn(
                        kind="resume",
                        connection_id=connection_id,
                        turn_id=frame.id,
                        answer_id=frame.answer_id,
                        key_hash=await self._key_hash(connection_id),
                        after=frame.after,
                    )
                )
        return None

    async def _begin(self, turn: Turn) -> None:
        key = TurnKey(turn.connection_id, turn.turn_id)
        match await self.turns.open(key, resumable=turn.resumable):
            case "opened":
                await self._send(turn, key)
            case "taken":
                raise ConflictError(f"The id {turn.turn_id!r} was used on this connection; choose another.")
            case "full":
                raise RateLimitError(
                    "Too many turns of this connection are under way; let one end first.", retry_after=1.0
                )
            case _:
                raise _unavailable()

    async def _send(self, turn: Turn, key: TurnKey) -> None:
        try:
            await self.queue.send([turn])
        except Exception as error:
            # Whatever keeps SQS from taking it, the client may send it again under the same id.
            _log.exception("a turn was not queued")
            await self.turns.forget(key)
            raise UnavailableError("This turn could not be queued; send it again shortly.") from error

    async def _cancel(self, turn: TurnKey) -> None:
        if not await self.turns.cancel(turn):
            raise ConflictError(f"There is no turn {turn.turn_id!r} under way that could be cancelled.")

    async def _key_hash(self, connection_id: str) -> str:
        connection = await self.connections.find(connection_id)
        if connection is None:
            raise _unavailable()
        await self.keyring.caller_of(bytes.fromhex(connection.key_hash), self.clock())
        return connection.key_hash


def _unavailable() -> UnavailableError:
    return UnavailableError("This connection is not known any more; connect again.")
