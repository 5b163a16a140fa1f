"""Asks a chat model one thing for Weir's own ends, and bills it."""

import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from shared.ledger.outbox import UsageOutbox
from shared.limits.limiter import Limiter
from shared.providers.catalog import Models
from shared.providers.model_rows import ChatModel
from shared.providers.tokens import TokenUsage, estimate_tokens
from shared.routing.aside import Aside
from shared.routing.payer import Payer, Till
from shared.routing.route import Route
from shared.routing.router import Router


class RoutedModel:
    """The model that search rewrites and reranks with, and that fills in the records of pages."""

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
        model: A chat model's name.
        seconds: How long a call may take.
        limiter: Counts the cost against the budgets of the payer's `caller`.
        """
        self._models = models
        self._aside = Aside(router, Till(outbox, limiter), payer, clock, seconds)
        self._model = model

    async def ask(
        self,
        instructions: str,
        text: str,
        *,
        max_tokens: int,
        form: Mapping[str, Any] | None = None,
        request_id: str | None = None,
    ) -> str:
        """The model's answer, of up to `max_tokens`.

        Args:
            form: A JSON schema that the answer is to have, asked for as strictly as the model has it; name
                it in the instructions too.
            request_id: Under which it is billed, once however often it is asked; else each time.

        Raises:
            NotFoundError: No chat model has this name.
            UpstreamFailure: No deployment answered.
        """
        messages = [{"role": "system", "content": instructions}, {"role": "user", "content": text}]
        route = Route.of(self._models.chat(self._model))
        answer = await self._aside.ask(
            route,
            "/chat/completions",
            {
                "messages": messages,
                "max_tokens": max_tokens,
                "temperature": 0,
                **(_response_format(route, form) if form else {}),
            },
        )
        said = str(answer.body["choices"][0]["message"].get("content") or "")
        reported = answer.usage.total > 0
        estimate = TokenUsage(estimate_tokens(f"{instructions}{text}"), 0, estimate_tokens(said))
        await self._aside.pay(
            request_id or f"ask_{uuid.uuid4().hex}",
            answer,
            answer.usage if reported else estimate,
            estimated=not reported,
        )
        return said


def _response_format(route: Route, form: Mapping[str, Any]) -> dict[str, Any]:
    """The strictest form that all who may be asked know."""
    models = [deployment.model for deployment in route.deployments]
    abilities = frozenset.intersection(*(m.abilities for m in models if isinstance(m, ChatModel)))
    if "json_schema" in abilities:
        schema = {"name": "answer", "schema": form}
        return {"response_format": {"type": "json_schema", "json_schema": schema}}
    return {"response_format": {"type": "json_object"}} if "json_object" in abilities else {}
