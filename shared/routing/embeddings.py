"""Embeds texts at whichever deployment serves the model, and bills them."""

import uuid
from collections.abc import Callable, Sequence
from datetime import datetime

from shared.ledger.outbox import UsageOutbox
from shared.limits.limiter import Limiter
from shared.providers.catalog import Deployment, Models
from shared.providers.failures import UpstreamFailure
from shared.providers.model_rows import EmbeddingModel
from shared.providers.tokens import TokenUsage, estimate_tokens
from shared.routing.aside import Answered, Aside
from shared.routing.payer import Payer, Till
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
        self._aside = Aside(
            router,
            Till(outbox, limiter),
            payer,
            clock,
            router.patience.request_seconds if seconds is None else seconds,
        )

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
        body = {"input": list(texts), "encoding_format": "float"}
        answer = await self._aside.ask(Route.of(deployments), "/embeddings", body)
        vectors = _vectors(answer, len(texts))
        reported = answer.usage.prompt
        await self._aside.pay(
            f"emb_{uuid.uuid4().hex}",
            answer,
            TokenUsage(prompt=reported or sum(map(estimate_tokens, texts))),
            estimated=not reported,
        )
        return vectors


def _vectors(answer: Answered, count: int) -> list[list[float]]:
    """The vectors of an answer, in the order of their texts.

    Raises:
        UpstreamFailure: There is not one per text, of the size that the model has.
    """
    model = answer.deployment.model
    assert isinstance(model, EmbeddingModel)  # noqa: S101 - `Models.embedding` gave it
    try:
        items = sorted(answer.body["data"], key=lambda item: int(item["index"]))
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
