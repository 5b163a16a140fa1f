"""The chat application: OpenAI's chat completions, embeddings and models."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

from fastapi import FastAPI
from starlette.routing import Route

from chat import snapshot
from chat.openapi import describe_bodies
from chat.routes import answers, chat_completions, embeddings, health, models
from shared.completion.opening import Opened, import_what_calls_need
from shared.completion.request import ChatRequest, EmbeddingsRequest
from shared.http.errors import add_error_handlers
from shared.http.request_id import RequestIdHeader
from shared.telemetry import Logger


def create_app(
    connect: Callable[[], AbstractAsyncContextManager[Opened]],
    *,
    max_body_bytes: int,
    log: Logger,
    for_snapshot: bool = False,
) -> FastAPI:
    """The ASGI application.

    `connect` is entered at its start, or `for_snapshot` when it has come back from one, and left at its end.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as opened:

            async def open_connections() -> None:
                app.state.connections = await opened.enter_async_context(connect())

            app.state.open_connections = open_connections
            await (asyncio.to_thread(import_what_calls_need) if for_snapshot else open_connections())
            yield

    app = FastAPI(title="Weir", lifespan=lifespan)
    app.state.max_body_bytes = max_body_bytes
    for routes in (chat_completions, answers, embeddings, models, health):
        app.include_router(routes.router)
    if for_snapshot:
        app.include_router(snapshot.router)
    describe_bodies(app, (ChatRequest, EmbeddingsRequest))
    # First in line, without FastAPI's handling of parameters, of which this route has none: 30 us of a call.
    chat = Route("/v1/chat/completions", chat_completions.create_chat_completion, methods=["POST"])
    app.router.routes.insert(0, chat)
    add_error_handlers(app, log)
    app.add_middleware(RequestIdHeader)
    return app
