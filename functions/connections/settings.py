"""What the WebSocket routes need to know."""

from pydantic import PositiveInt

from shared.settings import DatabaseSettings, ValkeySettings, WebSocketSettings


class ConnectionsSettings(DatabaseSettings, ValkeySettings, WebSocketSettings):
    """`turns_queue_url`: the queue that the workers read."""

    turns_queue_url: str
    connections_per_key: PositiveInt = 1000
    turns_per_connection: PositiveInt = 16
