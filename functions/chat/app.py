"""The chat application: OpenAI's chat completions, embeddings and models."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import FastAPI
from starlette.routing import Route

from chat.openapi import describe_bodies
from chat.routes import answers, chat_completions, embeddings, health, models
from shared.completion.opening import Opened
from shared.completion.request import ChatRequest, EmbeddingsRequest
from shared.http.errors import add_error_handlers
from shared.http.request_id import RequestIdHeader
from shared.telemetry import Logger


def create_app(
    connect: Callable[[], AbstractAsyncContextManager[Opened]],
    *,
    max_body_bytes: int,
    log: Logger,
) -> FastAPI:
    """The ASGI application; `connect` is entered at its start and left at its end."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with connect() as connections:
            app.state.connections = connections
            yield

    app = FastAPI(title="Weir", lifespan=lifespan)
    app.state.max_body_bytes = max_body_bytes
    for routes in (chat_completions, answers, embeddings, models, health):
        app.include_router(routes.router)
    describe_bodies(app, (ChatRequest, EmbeddingsRequest))
    # First in line, without FastAPI's handling of parameters, of which this route has none: 30 us of a call.
    chat = Route("/v1/chat/completions", chat_completions.create_chat_completion, methods=["POST"])
    app.router.routes.insert(0, chat)
    add_error_handlers(app, log)
    app.add_middleware(RequestIdHeader)
    return app
