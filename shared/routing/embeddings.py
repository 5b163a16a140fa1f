"""Embeds texts at whichever deployment serves the model, and bills them."""

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.ledger.outbox import UsageOutbox
from shared.ledger.prices import cost_microdollars
from shared.ledger.usage import UsageRecord
from shared.limits.keys import Caller
from shared.limits.limiter import Limiter
from shared.providers.catalog import Deployment, EmbeddingModel, Models
from shared.providers.failures import UpstreamFailure
from shared.providers.tokens import TokenUsage, estimate_tokens
from shared.routing.answers import Buffered
from shared.routing.route import Route
from shared.routing.router import Router


@dataclass(frozen=True)
class Payer:
    """Whom embeddings are billed to, and for what: `endpoint` is how the ledger names the work.

    `caller`: whose budgets pay for them; `None` where no key asked.
    """

    tenant_id: str
    key_id: str
    endpoint: str
    caller: Caller | None = None

    @classmethod
    def of(cls, caller: Caller, endpoint: str) -> "Payer":
        """A key, and its tenant."""
        return cls(caller.tenant_id, caller.key_id, endpoint, caller)


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
        self._outbox = outbox
        self._payer = payer
        self._clock = clock
        self._limiter = limiter
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
        await self._bill(answer.deployment, answer.answer.get("usage"), texts, started, duration)
        return vectors

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
        record = UsageRecord(
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
        await self._outbox.put(record)
        if self._limiter and self._payer.caller:
            await self._limiter.charge(
                self._payer.caller,
                record.request_id,
                record.model,
                deployment.model.limits,
                record.cost_microdollars,
                started,
            )


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
