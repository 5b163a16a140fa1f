"""The connections that a completion works with, made once per process."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from shared.cache.flights import Flights
from shared.completion.background import Background
from shared.completion.policy import Caching
from shared.ledger.outbox import UsageOutbox
from shared.limits.keys import Caller
from shared.limits.limiter import Limiter
from shared.postgres.database import Database
from shared.providers.catalog import Models
from shared.providers.reasoning_vault import ReasoningVault
from shared.routing.embeddings import Payer, RoutedEmbedder
from shared.routing.router import Router


@dataclass(frozen=True, kw_only=True)
class Services:
    """Everything a completion reaches outside itself. `caching`: for who does not say otherwise."""

    models: Models
    router: Router
    limiter: Limiter
    flights: Flights
    caching: Caching
    vault: ReasoningVault
    background: Background
    outbox: UsageOutbox
    database: Database
    clock: Callable[[], datetime]

    def embedder(self, caller: Caller) -> RoutedEmbedder:
        """Embeds a caller's question, at the caller's cost."""
        payer = Payer(caller.tenant_id, caller.key_id, "/v1/chat/completions#knowledge")
        return RoutedEmbedder(self.models, self.router, self.outbox, payer, self.clock)
