"""The models that help a search, at the cost of whom it is for: to ask better, and to put in order."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from shared.errors import PermissionDeniedError
from shared.knowledge.reranker import EndpointReranker, ModelReranker, Reranker, WatchedReranker
from shared.ledger.outbox import UsageOutbox
from shared.limits.caller import Caller
from shared.limits.limiter import Limiter
from shared.providers.catalog import Models
from shared.routing.asking import RoutedModel
from shared.routing.payer import Payer
from shared.routing.reranking import RoutedReranker
from shared.routing.router import Router


@dataclass(frozen=True)
class Reranking:
    """Whether a model put the passages in order; if one was to and did not, why: they stay as they were."""

    done: bool
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class SearchModels:
    """For one caller.

    `endpoint`: what the ledger calls the work. `rerank_model`: the deployment's own; empty for none.
    `seconds`: how long a model may take.
    """

    models: Models
    router: Router
    outbox: UsageOutbox
    limiter: Limiter
    clock: Callable[[], datetime]
    caller: Caller
    endpoint: str
    rerank_model: str
    seconds: float

    def chat(self, model: str) -> RoutedModel:
        """A chat model, which is looked up when it is asked."""
        return RoutedModel(
            self.models,
            self.router,
            self.outbox,
            Payer.of(self.caller, self.endpoint),
            self.clock,
            model=model,
            seconds=self.seconds,
            limiter=self.limiter,
        )

    def reranker(self, wanted: bool | str, *, param: str) -> WatchedReranker | None:
        """What a request's `rerank` asks for; `None` if that is nothing, or what the deployment has not set.

        Args:
            wanted: `True` for the deployment's own, or the name of a rerank or a chat model.
            param: Where the request says so.

        Raises:
            PermissionDeniedError: The key does not allow the model that is named.
            NotFoundError: There is no rerank model and no chat model of this name.
        """
        if isinstance(wanted, str) and wanted and not self.caller.may_use(wanted):
            raise PermissionDeniedError(
                f"This key does not allow the model {wanted!r}; ask its owner to add it.", param=param
            )
        name = wanted if isinstance(wanted, str) else self.rerank_model if wanted else ""
        return WatchedReranker(self._named(name)) if name else None

    def _named(self, model: str) -> Reranker:
        if self.models.is_chat(model):
            return ModelReranker(self.chat(model))
        endpoint = RoutedReranker(
            self.models,
            self.router,
            self.outbox,
            Payer.of(self.caller, self.endpoint),
            self.clock,
            model=model,
            seconds=self.seconds,
            limiter=self.limiter,
        )
        return EndpointReranker(endpoint)


def outcome_of(wanted: bool | str, reranker: WatchedReranker | None, *, param: str) -> Reranking:
    """What came of a request's `rerank`, once the search is done."""
    if reranker is None:
        missing = f"No model is set for reranking (WEIR_RERANK_MODEL); name one in `{param}`."
        return Reranking(False, missing if wanted else None)
    failure = reranker.failure
    return Reranking(failure is None, failure.for_caller().message if failure else None)
