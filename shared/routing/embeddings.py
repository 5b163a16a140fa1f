"""Embeds texts at whichever deployment serves the model, and bills them."""

import time
import uuid
from collections.abc import Callable, Sequence
from datetime import datetime

from shared.ledger.outbox import UsageOutbox
from shared.limits.limiter import Limiter
from shared.providers.catalog import Deployment, EmbeddingModel, Models
from shared.providers.failures import UpstreamFailure
from shared.providers.tokens import TokenUsage, estimate_tokens
from shared.routing.answers import Buffered
from shared.routing.payer import AsideCall, Payer, Till
from shared.routing.route import Route
from shared.routing.router import Router


class RoutedEmbedder:
    """The `Embedder` that search and ingestion use."""

    def __init__(
        self,
        models: Models,
        router: Router,
        outbox: UsageOutbox,
        payer: Payer,
        clock: Callable[[], datetime],
        *,
        limiter: Limiter | None = None,
        seconds: float | None = None,
    ) -> None:
        """Args:
        limiter: Counts the cost against the budgets of the payer's `caller`.
        seconds: How long one call may take; `None`: as long as any request.
        """
        self._models = models
        self._router = router
        self._till = Till(outbox, limiter)
        self._payer = payer
        self._clock = clock
        self._seconds = router.patience.request_seconds if seconds is None else seconds

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        """One vector per text, in order, in as many calls as the model's batch size asks for.

        Raises:
            NotFoundError: No embedding model has this name.
            UpstreamFailure: No deployment answered, or not with one vector per text.
        """
        deployments = self._models.embedding(model)
        size = self._models.embedding_model(model).batch_size
        vectors: list[list[float]] = []
        for start in range(0, len(texts), size):
            vectors += await self._embed_batch(deployments, texts[start : start + size])
        return vectors

    async def _embed_batch(
        self, deployments: Sequence[Deployment], texts: Sequence[str]
    ) -> list[list[float]]:
        started, begun = self._clock(), time.monotonic()
        body = {"input": list(texts), "encoding_format": "float"}
        answer = await self._router.send(
            Route.of(deployments),
            "/embeddings",
            body,
            tenant_id=self._payer.tenant_id,
            deadline=begun + self._seconds,
        )
        vectors = _vectors(answer, len(texts))
        duration = int((time.monotonic() - begun) * 1000)
        await self._bill(answer, texts, started, duration)
        return vectors

    async def _bill(
        self, answer: Buffered, texts: Sequence[str], started: datetime, duration_ms: int
    ) -> None:
        reported = TokenUsage.from_body(answer.answer.get("usage") or {})
        tokens = reported.prompt or sum(estimate_tokens(text) for text in texts)
        call = AsideCall(
            request_id=f"emb_{uuid.uuid4().hex}",
            deployment=answer.deployment,
            usage=TokenUsage(prompt=tokens),
            estimated=not reported.prompt,
            started=started,
            duration_ms=duration_ms,
        )
        await self._till.pay(self._payer, call)


def _vectors(answer: Buffered, count: int) -> list[list[float]]:
    """The vectors of an answer, in the order of their texts.

    Raises:
        UpstreamFailure: There is not one per text, of the size that the model has.
    """
    model = answer.deployment.model
    assert isinstance(model, EmbeddingModel)  # noqa: S101 - `Models.embedding` gave it
    try:
        items = sorted(answer.answer["data"], key=lambda item: int(item["index"]))
        vectors = [item["embedding"] for item in items]
        whole = len(vectors) == count and all(len(vector) == model.dimensions for vector in vectors)
    except (KeyError, TypeError, ValueError):
        whole = False
    if not whole:
        raise UpstreamFailure(
            "broken",
            answer.deployment.provider.name,
            f"{count} vectors of {model.dimensions} numbers expected",
        )
    return vectors
