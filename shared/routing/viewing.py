"""Shows a picture to a chat model with vision, and bills it."""

import base64
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from shared.ledger.outbox import UsageOutbox
from shared.providers.catalog import CatalogError, ChatModel, Models
from shared.providers.failures import UpstreamFailure
from shared.providers.tokens import TokenUsage, estimate_tokens
from shared.routing.answers import Buffered
from shared.routing.payer import AsideCall, Payer, Till
from shared.routing.route import Route, chat_route
from shared.routing.router import Router

# What a picture takes of a prompt, where the provider does not say: one of some 1,500 by 2,000 dots.
_PICTURE_TOKENS = 1_500

# Stands for the rest of an answer that was cut off.
_CUT_OFF = "\n\n[...]"


def vision_route(models: Models, name: str) -> Route:
    """Who can see, of the deployments of a chat model and of its fallbacks.

    Raises:
        NotFoundError: No chat model has this name.
        CatalogError: None of them can see.
    """
    route = chat_route(models, name).where(
        lambda deployment: isinstance(deployment.model, ChatModel) and "vision" in deployment.model.abilities
    )
    if not route.tiers:
        raise CatalogError(f"The model {name!r} has no `vision` among its abilities.")
    return route


class RoutedViewer:
    """The `Viewer` that captions come from."""

    def __init__(
        self,
        route: Route,
        router: Router,
        outbox: UsageOutbox,
        payer: Payer,
        clock: Callable[[], datetime],
        *,
        seconds: float,
    ) -> None:
        """Args:
        route: As `vision_route` gives it.
        seconds: How long a call may take.
        """
        self._route = route
        self._router = router
        self._till = Till(outbox, None)
        self._payer = payer
        self._clock = clock
        self._seconds = seconds

    async def look(self, instructions: str, picture: bytes, media_type: str, *, max_tokens: int) -> str:
        """What the model says of a picture, in up to `max_tokens`; an answer cut off there ends in `[...]`.

        Raises:
            UpstreamFailure: No deployment answered; `refused`: the model would not, or cannot read it.
        """
        started, begun = self._clock(), time.monotonic()
        answer = await self._router.send(
            self._route,
            "/chat/completions",
            {
                "messages": [{"role": "user", "content": _content(instructions, picture, media_type)}],
                "max_tokens": max_tokens,
                "temperature": 0,
            },
            tenant_id=self._payer.tenant_id,
            deadline=begun + self._seconds,
        )
        choice: Mapping[str, Any] = answer.answer["choices"][0]
        said = str(choice["message"].get("content") or "")
        estimate = TokenUsage(estimate_tokens(instructions) + _PICTURE_TOKENS, 0, estimate_tokens(said))
        await self._bill(answer, estimate, started, int((time.monotonic() - begun) * 1000))
        if choice["message"].get("refusal") or choice.get("finish_reason") == "content_filter":
            provider = answer.deployment.provider.name
            raise UpstreamFailure("refused", provider, "the model would not describe the picture")
        return said + (_CUT_OFF if choice.get("finish_reason") == "length" else "")

    async def _bill(
        self, answer: Buffered, estimate: TokenUsage, started: datetime, duration_ms: int
    ) -> None:
        reported = TokenUsage.from_body(answer.answer.get("usage") or {})
        call = AsideCall(
            request_id=f"view_{uuid.uuid4().hex}",
            deployment=answer.deployment,
            usage=reported if reported.total else estimate,
            estimated=not reported.total,
            started=started,
            duration_ms=duration_ms,
        )
        await self._till.pay(self._payer, call)


def _content(instructions: str, picture: bytes, media_type: str) -> list[dict[str, Any]]:
    url = f"data:{media_type};base64,{base64.b64encode(picture).decode()}"
    return [{"type": "text", "text": instructions}, {"type": "image_url", "image_url": {"url": url}}]
