"""POST /v1/embeddings."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from chat.incoming import call_of, connections_of
from chat.openapi import body_of
from shared.completion.embeddings import embed
from shared.completion.request import EmbeddingsRequest

router = APIRouter()


@router.post("/v1/embeddings", response_class=Response, openapi_extra=body_of(EmbeddingsRequest))
async def create_embeddings(request: Request) -> Response:
    """OpenAI's embeddings."""
    call = await call_of(request, EmbeddingsRequest, "/v1/embeddings")
    answer = await embed(connections_of(request).services, call)
    return Response(answer.content, media_type="application/json", headers=dict(answer.headers))
