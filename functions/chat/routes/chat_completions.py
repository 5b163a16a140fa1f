"""POST /v1/chat/completions."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from chat.incoming import call_of, connections_of
from chat.openapi import body_of
from shared.completion.answer import StreamedAnswer
from shared.completion.pipeline import complete
from shared.completion.request import ChatRequest
from shared.http.disconnect import CallerGoneError, while_connected
from shared.http.event_stream import EventStream

router = APIRouter()

# nginx's name for an answer that nobody is there to read; it shows in logs alone.
_CLIENT_CLOSED_REQUEST = 499


@router.post("/v1/chat/completions", response_class=Response, openapi_extra=body_of(ChatRequest))
async def create_chat_completion(request: Request) -> Response:
    """OpenAI's chat completions, with `weir.knowledge` for answers from documents."""
    call = await call_of(request, ChatRequest, "/v1/chat/completions")
    try:
        answer = await while_connected(request, complete(connections_of(request).services, call))
    except CallerGoneError:
        return Response(status_code=_CLIENT_CLOSED_REQUEST)
    if isinstance(answer, StreamedAnswer):
        return EventStream(answer.events, answer.headers)
    return Response(answer.content, media_type="application/json", headers=dict(answer.headers))
