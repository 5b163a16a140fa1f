"""A chat model as it is asked about one page, within the budgets of a caller."""

import hashlib
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from shared.errors import NotFoundError, RateLimitError
from shared.ledger.outbox import UsageOutbox
from shared.ledger.prices import cost_microdollars
from shared.limits.caller import Caller
from shared.limits.limiter import Limiter
from shared.limits.limits import Demand
from shared.providers.catalog import Deployment, Models
from shared.providers.failures import UpstreamFailure
from shared.providers.model_rows import ChatModel
from shared.providers.tokens import estimate_tokens
from shared.routing.asking import RoutedModel
from shared.routing.payer import Payer
from shared.routing.router import Router
from shared.web.filled_schema import FilledSchema
from shared.web.filling import AskError
from shared.web.scrape_models import PageClaim

# The longest answer, which takes a quarter of a small model's window at most, and the longest page.
_ANSWER_TOKENS = 8_192
_PAGE_TOKENS = 32_000

# Tokens of the instructions beside the schema, with room for a tokeniser that makes more of a text.
_AROUND = 512

# Seconds after which to come back where nobody says.
_PAUSE = 30.0
_AT_FAULT = frozenset(("refused", "unauthorized", "unpaid"))


@dataclass(frozen=True, kw_only=True)
class ModelMeans:
    """What models are asked with. `seconds`: how long all questions about a page may take together."""

    models: Models
    router: Router
    outbox: UsageOutbox
    limiter: Limiter
    seconds: float
    now: Callable[[], datetime]


@dataclass(frozen=True, kw_only=True)
class PageModel:
    """The `RecordModel` of a page."""

    means: ModelMeans
    claim: PageClaim
    caller: Caller
    name: str
    deployments: tuple[Deployment, ...]
    answer_tokens: int
    page_tokens: int
    until: float

    @classmethod
    def of(cls, means: ModelMeans, claim: PageClaim, schema: FilledSchema, caller: Caller) -> "PageModel":
        """The model that the schema names.

        Raises:
            AskError: It is not served any more, or the key does not allow it.
        """
        name = schema.model or ""
        if not caller.may_use(name):
            raise AskError(f"the key that began the scrape does not allow the model {name!r}")
        try:
            deployments = means.models.chat(name)
        except NotFoundError as error:
            raise AskError(error.message) from error
        window = min(deployment.model.context_window for deployment in deployments)
        answer = min(_ANSWER_TOKENS, window // 4, *map(_longest_answer, deployments))
        form = estimate_tokens(orjson.dumps(schema.form).decode())
        return cls(
            means=means,
            claim=claim,
            caller=caller,
            name=name,
            deployments=deployments,
            answer_tokens=answer,
            page_tokens=max(0, min(_PAGE_TOKENS, window - answer - 2 * form - _AROUND)),
            until=time.monotonic() + means.seconds,
        )

    def fitting(self, text: str) -> str:
        """The text, or its beginning."""
        tokens = estimate_tokens(text)
        return text if tokens <= self.page_tokens else text[: len(text) * self.page_tokens // tokens]

    async def ask(self, instructions: str, text: str, *, form: Mapping[str, Any], attempt: int) -> str:
        """The model's answer, within the caller's budgets.

        Raises:
            AskError: Money is used up, or nobody answered.
        """
        tokens = estimate_tokens(instructions + text) + self.answer_tokens
        demand = Demand(
            tokens=tokens,
            cost_microdollars=max(self._ceiling(d, instructions, text) for d in self.deployments),
            lease_seconds=self.means.seconds,
        )
        limiter, model = self.means.limiter, self.deployments[0].model
        try:
            # Holds room for what is billed, and charged to budgets, by itself.
            room = await limiter.reserve(
                self.caller, f"room_{uuid.uuid4().hex}", model.name, model.limits, demand, self.means.now()
            )
        except RateLimitError as error:
            raise AskError(
                error.message, retry_after=error.retry_after if error.should_retry else None
            ) from error
        try:
            return await self._answer(instructions, text, form, attempt)
        finally:
            await limiter.settle(room, tokens=tokens, cost_microdollars=0)

    async def _answer(self, instructions: str, text: str, form: Mapping[str, Any], attempt: int) -> str:
        means = self.means
        model = RoutedModel(
            means.models,
            means.router,
            means.outbox,
            Payer.of(self.caller, "/v1/scrapes"),
            means.now,
            model=self.name,
            seconds=max(0.0, self.until - time.monotonic()),
            limiter=means.limiter,
        )
        try:
            return await model.ask(
                instructions,
                text,
                max_tokens=self.answer_tokens,
                form=form,
                request_id=self._request_id(attempt),
            )
        except UpstreamFailure as failure:
            again = None if failure.kind in _AT_FAULT else failure.retry_after or _PAUSE
            raise AskError(failure.for_caller().message, retry_after=again) from failure

    def _request_id(self, attempt: int) -> str:
        """The same whoever asks: the ledger and the budgets count it once."""
        question = f"{self.claim.scrape_id} {self.claim.url} {attempt}"
        return f"records_{hashlib.sha256(question.encode()).hexdigest()[:40]}"

    def _ceiling(self, deployment: Deployment, instructions: str, text: str) -> int:
        """No tokeniser makes more tokens of a text than it has bytes."""
        return cost_microdollars(
            deployment.model.price,
            prompt_tokens=min(len((instructions + text).encode()), deployment.model.context_window),
            cached_tokens=0,
            completion_tokens=self.answer_tokens,
            at=self.means.now(),
        )


def _longest_answer(deployment: Deployment) -> int:
    model = deployment.model
    longest = model.max_output_tokens if isinstance(model, ChatModel) else None
    return longest or model.context_window
