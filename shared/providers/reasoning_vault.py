"""Reasoning of assistant turns, kept for clients that do not send it back.

DeepSeek wants the `reasoning_content` of earlier turns; hardly a client keeps it, for OpenAI has no such
field. So Weir keeps it in Valkey, for the tenant, and puts it back. docs/deepseek.md weighs how.
"""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from redis.asyncio import Redis

from shared.providers.catalog import Deployment
from shared.providers.quirks import RECALLED
from shared.providers.turn_key import turn_key
from shared.valkey.client import Valkey

Message = Mapping[str, Any]

# Turns asked for in one round trip.
_PAGE = 128

# Turns asked for at most. Of a longer conversation the oldest are left out, many at once and rarely: a prompt
# that begins otherwise than the one before it is not found in the provider's cache.
MOST_TURNS = 1024
_STEP = 512


@dataclass(frozen=True, kw_only=True)
class VaultOptions:
    """`ttl_seconds`: how long reasoning is kept after its last use; 0: none is. `most_bytes`: of one turn."""

    ttl_seconds: int = 7 * 86_400
    most_bytes: int = 256 * 2**10


def needs_reasoning(deployments: Iterable[Deployment]) -> bool:
    """Whether one of them wants reasoning back; for others the vault is not asked, and nothing is kept."""
    return any("reasoning_content_required" in d.provider.quirks for d in deployments)


class ReasoningVault:
    """The reasoning that Weir remembers. Without Valkey it remembers none, which providers accept."""

    def __init__(self, valkey: Valkey, options: VaultOptions | None = None) -> None:
        self._valkey = valkey
        self._options = options or VaultOptions()

    async def fill(self, tenant_id: str, messages: Sequence[Message]) -> Sequence[Message]:
        """The messages, with their reasoning at assistant turns that come without; `encode_body` knows it.

        One round trip for `_PAGE` turns; none where no turn lacks reasoning, and then `messages` itself.

        Args:
            tenant_id: Whose conversation it is.
            messages: The whole conversation as the caller sent it. Sources may be in its last question.
        """
        places = self._places(tenant_id, messages) if self._options.ttl_seconds else {}
        if not places:
            return messages
        found = await self._recall(list(places))
        if not found:
            return messages
        filled = list(messages)
        for name, reasoning in found.items():
            position = places[name]
            filled[position] = {**messages[position], RECALLED: reasoning}
        return filled

    async def keep(self, tenant_id: str, asked: Sequence[Message], answer: Message) -> None:
        """Remember the reasoning of an answer, if it has any, before its client can come back with it.

        Args:
            tenant_id: Whose answer it is.
            asked: The messages it answers, as the caller sent them, without sources.
            answer: The whole assistant message, `choices[i].message`.
        """
        reasoning = answer.get("reasoning_content")
        ttl = self._options.ttl_seconds
        if not ttl or not isinstance(reasoning, str) or not reasoning:
            return
        text = reasoning.encode()
        key = turn_key(tenant_id, asked, answer)
        if key is None or len(text) > self._options.most_bytes:
            return
        value = zlib.compress(text)
        # The first stays, so that a conversation's prompt goes on as it began.
        await self._valkey.attempt(lambda client: client.set(_name(tenant_id, key), value, ex=ttl, nx=True))

    def _places(self, tenant_id: str, messages: Sequence[Message]) -> dict[str, int]:
        """Where reasoning is lacking, by its name in Valkey.

        Of turns that cannot be told apart the first has it: it is the one whose reasoning was kept.
        """
        lacking = [
            position
            for position, message in enumerate(messages)
            if message.get("role") == "assistant" and not message.get("reasoning_content")
        ]
        excess = max(0, len(lacking) - MOST_TURNS)
        places: dict[str, int] = {}
        for position in lacking[-(-excess // _STEP) * _STEP :]:
            if key := turn_key(tenant_id, messages[max(0, position - 1) : position], messages[position]):
                places.setdefault(_name(tenant_id, key), position)
        return places

    async def _recall(self, names: list[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        for start in range(0, len(names), _PAGE):
            page = names[start : start + _PAGE]
            values = await self._valkey.attempt(partial(self._get, page))
            if values is None:
                break
            found |= {
                name: zlib.decompress(value).decode()
                for name, value in zip(page, values, strict=True)
                if value is not None
            }
        return found

    async def _get(self, names: list[str], client: Redis) -> list[bytes | None]:
        # A pipeline, not a script: each name is in a slot of its own, so that no tenant makes a hot shard.
        async with client.pipeline(transaction=False) as pipeline:
            for name in names:
                pipeline.getex(name, ex=self._options.ttl_seconds)
            values: list[bytes | None] = await pipeline.execute()
        return values


def _name(tenant_id: str, key: str) -> str:
    return f"reasoning:{{{tenant_id}:{key}}}"
