"""What the worker of turns needs to know."""

from pydantic import PositiveInt

from shared.settings import CompletionSettings, WebSocketSettings


class TurnsSettings(CompletionSettings, WebSocketSettings):
    """`turns_queue_url`: the queue that it reads.

    `turn_lost_seconds`: a worker that gives no sign for so long is taken for dead, and another goes on.
    """

    turns_queue_url: str
    turn_lost_seconds: PositiveInt = 30
    turns_per_connection: PositiveInt = 16
