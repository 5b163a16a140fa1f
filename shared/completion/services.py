"""The connections that a completion works with, made once per process."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from shared.cache.flights import Flights
from shared.completion.background import Background
from shared.completion.policy import Caching
from shared.knowledge.search_models import SearchModels
from shared.ledger.outbox import UsageOutbox
from shared.limits.caller import Caller
from shared.limits.limiter import Limiter
from shared.postgres.database import Database
from shared.providers.catalog import Models
from shared.providers.reasoning_vault import ReasoningVault
from shared.routing.embeddings import RoutedEmbedder
from shared.routing.payer import Payer
from shared.routing.router import Router

if TYPE_CHECKING:
    from shared.cache.semantic import SemanticCache


@dataclass(frozen=True, kw_only=True)
class Services:
    """Everything a completion reaches outside itself.

    `replica`: where knowledge is searched as soon as it has what the primary has. `caching`: for who does not
    say otherwise. `embedding_model`: by which the semantic cache compares.
    `rerank_model`: puts what is found in knowledge in order for who asks for that; empty for none.
    `search_model_seconds`: how long it may take.
    """

    models: Models
    router: Router
    limiter: Limiter
    flights: Flights
    caching: Caching
    vault: ReasoningVault
    background: Background
    outbox: UsageOutbox
    database: Database
    embedding_model: str
    clock: Callable[[], datetime]
    replica: Database | None = None
    rerank_model: str = ""
    search_model_seconds: float = 10.0

    def embedder(
        self,
        caller: Caller,
        work: Literal["knowledge", "semantic_cache"],
        *,
        seconds: float | None = None,
    ) -> RoutedEmbedder:
        """Embeds a caller's question, at the caller's cost; `work` is what the ledger calls it."""
        return RoutedEmbedder(
            self.models,
            self.router,
            self.outbox,
            Payer.of(caller, f"/v1/chat/completions#{work}"),
            self.clock,
            limiter=self.limiter,
            seconds=seconds,
        )

    def search_models(self, caller: Caller) -> SearchModels:
        """The models that help a search of knowledge, at the caller's cost."""
        return SearchModels(
            models=self.models,
            router=self.router,
            outbox=self.outbox,
            limiter=self.limiter,
            clock=self.clock,
            caller=caller,
            endpoint="/v1/chat/completions#knowledge",
            rerank_model=self.rerank_model,
            seconds=self.search_model_seconds,
        )

    @cached_property
    def semantic_cache(self) -> "SemanticCache":
        """One per process, for it remembers when it was of no use. Imported with its first use."""
        from shared.cache.semantic import SemanticCache

        return SemanticCache(self.database, self.embedding_model)
