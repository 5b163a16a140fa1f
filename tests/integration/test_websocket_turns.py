"""A turn that the queue does not take leaves nothing behind."""

import uuid
from datetime import UTC, datetime

import orjson

from connections.routes import Routes
from shared.aws.queues import Queue
from shared.limits.caller import key_hash
from shared.limits.keyring import KeyRing
from shared.limits.keys import NewKey, create_key
from shared.postgres.database import Database
from shared.valkey.client import Valkey
from shared.websocket.connections import Connection, Connections
from shared.websocket.tickets import Tickets
from shared.websocket.turns import TurnKey, Turns


class Frames:
    """The twin of the management API: keeps what was sent."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    async def post(self, connection_id: str, frame: bytes) -> None:
        self.sent.append(frame)


async def test_a_turn_that_is_not_queued_may_be_sent_again(
    aws: None, valkey: Valkey, database: Database, tenant_id: str
) -> None:
    connection_id, frames, turns = uuid.uuid4().hex, Frames(), Turns(valkey, per_connection=1)
    async with database.tenant(tenant_id) as connection:
        key = await create_key(connection, NewKey(tenant_id=tenant_id, name="test"))
    connections = Connections(valkey, per_key=10)
    hashed = key_hash(key.plaintext).hex()
    await connections.open(
        connection_id, Connection(tenant_id=tenant_id, key_id=key.record.key_id, key_hash=hashed)
    )
    routes = Routes(
        keyring=KeyRing(database, valkey),
        tickets=Tickets(valkey),
        connections=connections,
        turns=turns,
        queue=Queue("http://127.0.0.1:1/000000000000/no-such-queue"),
        api=frames,  # type: ignore[arg-type]
        clock=lambda: datetime.now(UTC),
    )

    await routes.frame(connection_id, '{"type": "chat", "id": "one", "body": {"model": "m"}}')

    assert orjson.loads(frames.sent[0])["error"]["code"] == "unavailable"
    # Neither its id is taken, nor its place among the turns of the connection.
    assert await turns.open(TurnKey(connection_id, "one"), resumable=False) == "opened"
