"""The completion pipeline over a loopback provider, with in-memory twins for what is not under test."""

import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel

from shared.cache.flights import Flights
from shared.completion.background import Background
from shared.completion.call import Call
from shared.completion.policy import Caching
from shared.completion.request import ChatRequest, parse_request
from shared.completion.services import Services
from shared.ledger.outbox import UsageOutbox
from shared.ledger.usage import UsageBatch, UsageRecord
from shared.limits.caller import Caller
from shared.limits.limiter import Limiter
from shared.postgres.database import Database
from shared.providers.catalog import Catalog, Models
from shared.providers.load import load_credentials
from shared.providers.reasoning_vault import ReasoningVault
from shared.routing.router import Router
from shared.telemetry import logger
from shared.valkey.client import Valkey
from tests.contract.upstream import Upstream, running_upstream

NOON = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)  # Tuesday noon in Beijing, between the two peaks

CATALOG = """
[[providers]]
name = "first"
base_url = "{first}"
secret = "none"
quirks = ["reasoning_content_required"]
[[providers.models]]
kind = "chat"
name = "test-model"
upstream_name = "upstream-model"
context_window = 8192
abilities = ["tools", "json_object", "thinking"]
price = {{ input = "1", cached_input = "0.1", output = "2" }}
[[providers.models]]
kind = "embedding"
name = "test-embedding"
context_window = 512
dimensions = 3
batch_size = 2
price = {{ input = "1", output = "0" }}

[[providers]]
name = "second"
base_url = "{second}"
secret = "none"
[[providers.models]]
kind = "chat"
name = "test-model"
priority = 1
context_window = 8192
abilities = ["tools", "json_object"]
price = {{ input = "1", output = "2" }}
"""


@dataclass
class MemoryQueue:
    """The twin of `Queue`: keeps what was sent."""

    sent: list[BaseModel] = field(default_factory=list)

    async def send(self, messages: Sequence[BaseModel], *, delay_seconds: int = 0) -> None:
        self.sent.extend(messages)


@dataclass(frozen=True)
class Bench:
    """What a contract test works with."""

    services: Services
    first: Upstream
    second: Upstream
    queue: MemoryQueue

    @property
    def records(self) -> list[UsageRecord]:
        """Usage records sent so far."""
        return [r for message in self.queue.sent if isinstance(message, UsageBatch) for r in message.records]


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with running_upstream() as first, running_upstream() as second:
        catalog = Catalog.from_toml(CATALOG.format(first=first.url, second=second.url))
        router = Router(await load_credentials(catalog, "env:{PROVIDER}"))
        queue = MemoryQueue()
        # Nothing listens there: callers without limits never ask, and those with limits pass unmetered.
        valkey = Valkey("redis://127.0.0.1:1", cluster=False, timeout_ms=50)
        database = Database("postgresql://127.0.0.1:1/none", pool_size=1)
        background = Background(freezes=True)
        services = Services(
            models=Models(catalog),
            router=router,
            limiter=Limiter(valkey, database),
            flights=Flights(valkey),
            caching=Caching(mode="exact", ttl_seconds=60),
            vault=ReasoningVault(valkey),
            background=background,
            outbox=UsageOutbox(queue, "inline", logger("test")),  # type: ignore[arg-type]
            database=database,
            embedding_model="test-embedding",
            clock=lambda: NOON,
        )
        yield Bench(services, first, second, queue)
        await background.close()
        await router.close()
        await valkey.close()


@pytest.fixture
def call() -> Callable[..., Call[ChatRequest]]:
    def make(**fields: Any) -> Call[ChatRequest]:
        body = {
            "model": "test-model",
            "messages": [{"role": "user", "content": "What is a weir?"}],
            **fields,
        }
        return Call(
            request_id="req_test",
            endpoint="/v1/chat/completions",
            caller=Caller(tenant_id="tenant", key_id="key", role="member"),
            body=body,
            body_bytes=len(json.dumps(body)),
            request=parse_request(ChatRequest, body),
            started=NOON,
            started_monotonic=time.monotonic(),
        )

    return make
