"""Asks a `/rerank` endpoint how relevant texts are to a query, and bills it."""

import math
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from shared.ledger.outbox import UsageOutbox
from shared.limits.limiter import Limiter
from shared.providers.catalog import Models
from shared.providers.failures import UpstreamFailure
from shared.providers.model_rows import RerankModel
from shared.providers.tokens import TokenUsage, estimate_tokens
from shared.routing.aside import Aside
from shared.routing.payer import Payer, Till
from shared.routing.route import Route
from shared.routing.router import Router


class RoutedReranker:
    """The endpoint that search reranks with."""

    def __init__(
        self,
        models: Models,
        router: Router,
        outbox: UsageOutbox,
        payer: Payer,
        clock: Callable[[], datetime],
        *,
        model: str,
        seconds: float,
        limiter: Limiter | None = None,
    ) -> None:
        """Args:
        model: A rerank model's name.
        seconds: How long a call may take.
        limiter: Counts the cost against the budgets of the payer's `caller`.

        Raises:
            NotFoundError: No rerank model has this name.
        """
        self._route = Route.of(models.rerank(model))
        self._aside = Aside(router, Till(outbox, limiter), payer, clock, seconds)

    async def relevance(self, query: str, texts: Sequence[str]) -> list[float]:
        """How relevant each text is, in order, 0 to 1.

        Raises:
            UpstreamFailure: No deployment answered, or not with a number for each text.
        """
        row = self._route.deployments[0].model
        assert isinstance(row, RerankModel)  # noqa: S101 - `Models.rerank` gave it
        documents = [text[: row.document_characters] for text in texts]
        body = {"query": query, "documents": documents, "top_n": len(documents)}
        answer = await self._aside.ask(self._route, "/rerank", body)
        reported = _tokens(answer.body)
        await self._aside.pay(
            f"rerank_{uuid.uuid4().hex}",
            answer,
            TokenUsage(prompt=reported or sum(map(estimate_tokens, [query, *documents]))),
            estimated=not reported,
        )
        scores = _scores(answer.body["results"], len(documents))
        if scores is None:
            provider = answer.deployment.provider.name
            raise UpstreamFailure("broken", provider, f"{len(documents)} scores expected")
        return _from_0_to_1(scores)


def _tokens(answer: Mapping[str, object]) -> int:
    """`usage.prompt_tokens`, or `usage.total_tokens` alone (Jina, vLLM); 0 if neither is there (Cohere)."""
    usage = answer.get("usage")
    if isinstance(usage, Mapping) and "prompt_tokens" not in usage:
        usage = {"prompt_tokens": usage.get("total_tokens")}
    return TokenUsage.from_body(usage).prompt


def _scores(results: Sequence[object], count: int) -> list[float] | None:
    """The scores by the place of their text; `None` if there is not one for each."""
    found: dict[int, float] = {}
    for result in results:
        fields: Mapping[str, object] = result if isinstance(result, Mapping) else {}
        index, score = fields.get("index"), fields.get("relevance_score")
        if type(index) is int and isinstance(score, int | float) and math.isfinite(score):
            found[index] = float(score)
    return [found[place] for place in range(count)] if found.keys() == set(range(count)) else None


def _from_0_to_1(scores: Sequence[float]) -> list[float]:
    """Some servers answer with logits: these become probabilities, in the same order."""
    if all(0 <= score <= 1 for score in scores):
        return list(scores)
    return [0.5 * (1 + math.tanh(score / 2)) for score in scores]
