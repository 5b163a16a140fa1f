"""/v1/chat/completions/{id}: an answer under way, by its request id."""

from typing import Annotated

from fastapi import APIRouter, Header, Request
from fastapi.responses import Response
from pydantic import BaseModel

from chat.incoming import caller_of, connections_of
from shared.completion.resume import cancel, resume
from shared.http.event_stream import EventStream

router = APIRouter(prefix="/v1/chat/completions/{answer_id}")


class Cancellation(BaseModel):
    """Whether there was still something to cancel."""

    id: str
    object: str = "chat.completion.cancellation"
    cancelled: bool


@router.get("/events", response_class=Response)
async def read_events(
    request: Request, answer_id: str, last_event_id: Annotated[int, Header(ge=0, le=2**31)] = 0
) -> Response:
    """The rest of a stream after `Last-Event-ID`, live, or from its log when it has ended."""
    caller = await caller_of(request)
    answer = await resume(connections_of(request).services, caller, answer_id, last_event_id)
    return EventStream(answer.events, answer.headers)


@router.post("/cancel")
async def cancel_answer(request: Request, answer_id: str) -> Cancellation:
    """End a stream; its upstream call ends too, unless others read the same answer."""
    caller = await caller_of(request)
    return Cancellation(
        id=answer_id, cancelled=await cancel(connections_of(request).services, caller, answer_id)
    )
