"""Beside the first step: whether these very words were answered before, looked up while limits are asked.

A hit so costs one wait for Valkey in all. What is found is given only to a call that is admitted.
"""

import asyncio
from dataclasses import dataclass

from shared.cache.entry import Entry
from shared.cache.flight_key import FlightKey
from shared.completion.call import Call
from shared.completion.compose import body_of, key_of
from shared.completion.policy import caching_of
from shared.completion.request import ChatRequest
from shared.completion.services import Services
from shared.routing.route import Route


@dataclass(frozen=True)
class Peek:
    """Where the answer would be, and what is there."""

    key: FlightKey
    entry: asyncio.Task[Entry | None]


def peek(services: Services, call: Call[ChatRequest], route: Route) -> Peek | None:
    """Begin to look; `None` where the cache is off, or what will be asked is not known before a search."""
    if call.request.weir.knowledge or caching_of(call, services.caching).mode == "off":
        return None
    key = key_of(call, route, body_of(call))
    return Peek(key, services.background.start(services.flights.peek(key)))
