"""A turn on its way from the connection to the worker that answers it."""

import hashlib
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class Turn(BaseModel):
    """One SQS message.

    `key_hash`: of the key that opened the connection (hex); it is looked up anew for every turn. `body` is a
    chat completions body; for a `resume` it is empty, and the answer's rest `after` an event id is meant.
    """

    model_config = ConfigDict(frozen=True)

    kind: Literal["chat", "resume"]
    connection_id: str
    turn_id: str
    key_hash: str
    answer_id: str
    after: int = 0
    body: dict[str, Any] = {}

    @property
    def resumable(self) -> bool:
        """Whether the answer is made to its end, though its client is gone."""
        weir = self.body.get("weir")
        return self.kind == "chat" and isinstance(weir, dict) and weir.get("resumable") is True


def answer_id_of(connection_id: str, turn_id: str) -> str:
    """The request id of a turn: the same for each delivery, so that it is billed once."""
    digest = hashlib.sha256(f"{connection_id}\0{turn_id}".encode()).hexdigest()
    return f"req_{digest[:32]}"
