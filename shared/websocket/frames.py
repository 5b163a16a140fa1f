"""What a client sends over a WebSocket: one JSON object a frame."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from shared.errors import InvalidRequestError

# The client's own name of a turn.
TurnId = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:-]+$")]


class _Frame(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ChatFrame(_Frame):
    """Begin a turn; `body` is that of `POST /v1/chat/completions`."""

    type: Literal["chat"]
    id: TurnId
    body: dict[str, Any]


class CancelFrame(_Frame):
    """End a turn."""

    type: Literal["cancel"]
    id: TurnId


class ResumeFrame(_Frame):
    """Begin a turn with what follows event `after` of an answer."""

    type: Literal["resume"]
    id: TurnId
    answer_id: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    after: Annotated[int, Field(ge=0, le=2**31)] = 0


class PingFrame(_Frame):
    """Keep the connection open."""

    type: Literal["ping"]


ClientFrame = Annotated[ChatFrame | CancelFrame | ResumeFrame | PingFrame, Field(discriminator="type")]

_FRAMES: TypeAdapter[ChatFrame | CancelFrame | ResumeFrame | PingFrame] = TypeAdapter(ClientFrame)


def parse_frame(text: str) -> ChatFrame | CancelFrame | ResumeFrame | PingFrame:
    """The frame that a client sent.

    Raises:
        InvalidRequestError: It is none; the message names what is wrong.
    """
    try:
        return _FRAMES.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidRequestError(
            f"This frame cannot be read{f' at {where}' if where else ''}: {first['msg']}. "
            "Send a JSON object whose `type` is chat, cancel, resume or ping."
        ) from error
