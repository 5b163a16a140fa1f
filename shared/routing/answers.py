"""What routing gives back: an answer, whole or under way, and who gave it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from shared.providers.catalog import Deployment
from shared.providers.chat_events import ChatEvent
from shared.providers.failures import Tried


@dataclass(frozen=True)
class Buffered:
    """A whole answer, as it came and decoded, who gave it, and who was asked before."""

    deployment: Deployment
    content: bytes
    answer: Mapping[str, Any]
    tried: tuple[Tried, ...] = ()


@dataclass(frozen=True)
class Streaming:
    """An answer under way, who gives it, and who was asked before. Closing `resources` ends the call.

    The first batch of `events` holds the first token.
    """

    deployment: Deployment
    events: AsyncIterator[tuple[ChatEvent, ...]]
    resources: AsyncExitStack
    tried: tuple[Tried, ...] = ()
