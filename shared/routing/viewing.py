"""Shows a picture to a chat model with vision, and bills it."""

import base64
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from shared.ledger.outbox import UsageOutbox
from shared.providers.catalog import CatalogError, Models
from shared.providers.failures import UpstreamFailure
from shared.providers.model_rows import ChatModel
from shared.providers.tokens import TokenUsage, estimate_tokens
from shared.routing.aside import Aside
from shared.routing.payer import Payer, Till
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
        self._aside = Aside(router, Till(outbox, None), payer, clock, seconds)

    async def look(self, instructions: str, picture: bytes, media_type: str, *, max_tokens: int) -> str:
        """What the model says of a picture, in up to `max_tokens`; an answer cut off there ends in `[...]`.

        Raises:
            UpstreamFailure: No deployment answered; `refused`: the model would not, or cannot read it.
        """
        answer = await self._aside.ask(
            self._route,
            "/chat/completions",
            {
                "messages": [{"role": "user", "content": _content(instructions, picture, media_type)}],
                "max_tokens": max_tokens,
                "temperature": 0,
            },
        )
        choice: Mapping[str, Any] = answer.body["choices"][0]
        said = str(choice["message"].get("content") or "")
        estimate = TokenUsage(estimate_tokens(instructions) + _PICTURE_TOKENS, 0, estimate_tokens(said))
        reported = answer.usage.total > 0
        await self._aside.pay(
            f"view_{uuid.uuid4().hex}",
            answer,
            answer.usage if reported else estimate,
            estimated=not reported,
        )
        if choice["message"].get("refusal") or choice.get("finish_reason") == "content_filter":
            provider = answer.deployment.provider.name
            raise UpstreamFailure("refused", provider, "the model would not describe the picture")
        return said + (_CUT_OFF if choice.get("finish_reason") == "length" else "")


def _content(instructions: str, picture: bytes, media_type: str) -> list[dict[str, Any]]:
    url = f"data:{media_type};base64,{base64.b64encode(picture).decode()}"
    return [{"type": "text", "text": instructions}, {"type": "image_url", "image_url": {"url": url}}]
