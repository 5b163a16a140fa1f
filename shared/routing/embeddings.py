"""Embeds texts at whichever deployment serves the model, and bills them."""

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.ledger.outbox import UsageOutbox
from shared.ledger.prices import cost_microdollars
from shared.ledger.usage import UsageRecord
from shared.providers.catalog import Deployment, EmbeddingModel, Models
from shared.providers.failures import UpstreamFailure
from shared.providers.tokens import TokenUsage, estimate_tokens
from shared.routing.route import Route
from shared.routing.router import Router


@dataclass(frozen=True)
class Payer:
    """Whom embeddings are billed to, and for what: `endpoint` is how the ledger names the work."""

    tenant_id: str
    key_id: str
    endpoint: str


class RoutedEmbedder:
    """The `Embedder` that search and ingestion use."""

    def __init__(
        self,
        models: Models,
        router: Router,
        outbox: UsageOutbox,
        payer: Payer,
        clock: Callable[[], datetime],
    ) -> None:
        self._models = models
        self._router = router
        self._outbox = outbox
        self._payer = payer
        self._clock = clock

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
            deadline=begun + self._router.patience.request_seconds,
        )
        parsed = answer.answer
        items = sorted(parsed.get("data", ()), key=lambda item: int(item["index"]))
        dimensions = _dimensions(answer.deployment)
        if len(items) != len(texts) or any(len(item["embedding"]) != dimensions for item in items):
            raise UpstreamFailure(
                "broken",
                answer.deployment.provider.name,
                f"{len(texts)} vectors of {dimensions} numbers expected",
            )
        duration = int((time.monotonic() - begun) * 1000)
        await self._bill(answer.deployment, parsed.get("usage"), texts, started, duration)
        return [item["embedding"] for item in items]

    async def _bill(
        self,
        deployment: Deployment,
        usage: dict[str, int] | None,
        texts: Sequence[str],
        started: datetime,
        duration_ms: int,
    ) -> None:
        reported = TokenUsage.from_body(usage or {})
        tokens = reported.prompt or sum(estimate_tokens(text) for text in texts)
        await self._outbox.put(
            UsageRecord(
                tenant_id=self._payer.tenant_id,
                request_id=f"emb_{uuid.uuid4().hex}",
                key_id=self._payer.key_id,
                endpoint=self._payer.endpoint,
                model=deployment.model.name,
                provider=deployment.provider.name,
                prompt_tokens=tokens,
                completion_tokens=0,
                cost_microdollars=cost_microdollars(
                    deployment.model.price,
                    prompt_tokens=tokens,
                    cached_tokens=0,
                    completion_tokens=0,
                    at=started,
                ),
                cache_outcome="off",
                outcome="completed",
                estimated=not reported.prompt,
                duration_ms=duration_ms,
                created_at=started,
            )
        )


def _dimensions(deployment: Deployment) -> int:
    assert isinstance(deployment.model, EmbeddingModel)  # noqa: S101 - `Models.embedding` gave it
    return deployment.model.dimensions
