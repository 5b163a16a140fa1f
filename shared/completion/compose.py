"""Second step: the messages that will really be sent, with what the team's documents say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from shared.cache.exact_key import exact_key
from shared.cache.flight_key import FlightKey
from shared.completion.call import Admitted, Call
from shared.completion.policy import Caching, caching_of
from shared.completion.request import ChatRequest, KnowledgeOptions
from shared.completion.services import Services
from shared.errors import InvalidRequestError
from shared.knowledge.context import CONTEXT_LIMIT, build_context
from shared.knowledge.passage import Passage
from shared.knowledge.search import SearchQuery, search
from shared.knowledge.search_models import Reranking, outcome_of
from shared.knowledge.stores import note_use
from shared.providers.model_rows import ChatModel
from shared.routing.route import Route

if TYPE_CHECKING:
    from shared.cache.semantic import Explore

# Of a model's context window, the share that sources may fill.
_CONTEXT_SHARE = 8

# A model that does not follow instructions loses the question among more than these.
_PLAIN_PASSAGES = 2

_RERANK = "weir.knowledge.rerank"


@dataclass(frozen=True, kw_only=True)
class Composed:
    """A call with the body to send upstream and the passages that it was given.

    `sources` is what the passages became in the prompt. `reranking`: what came of it, if it was asked for.
    `explored`: what the answer is to teach the semantic cache.
    """

    admitted: Admitted[ChatRequest]
    body: Mapping[str, Any]
    passages: tuple[Passage, ...]
    caching: Caching
    sources: str = ""
    reranking: Reranking | None = None
    key: FlightKey | None = None
    explored: "Explore | None" = None

    @property
    def resumable(self) -> bool:
        """Whether the answer goes on when its caller is gone."""
        return self.admitted.call.request.weir.resumable

    @cached_property
    def flight_key(self) -> FlightKey:
        """Under which identical questions meet; of its own where the cache is off."""
        call = self.admitted.call
        if self.caching.mode == "off":
            return FlightKey(call.caller.tenant_id, call.request_id)
        return self.key or key_of(call, self.admitted.route, self.body)

    @property
    def body_to_compare(self) -> Mapping[str, Any]:
        """The body with its sources beside the question: these are compared exactly, whatever they mean."""
        if not self.sources:
            return self.body
        return {**self.body, "messages": self.admitted.call.body["messages"], "weir.sources": self.sources}


def body_of(call: Call[ChatRequest]) -> dict[str, Any]:
    """The caller's body, less what is Weir's own."""
    body = {name: value for name, value in call.body.items() if name != "weir"}
    if call.request.stream:
        # Always asked for, since it is what the bill is made of; hidden again from who did not ask.
        body["stream_options"] = {**(body.get("stream_options") or {}), "include_usage": True}
    return body


def key_of(call: Call[ChatRequest], route: Route, body: Mapping[str, Any]) -> FlightKey:
    """Where identical questions meet, with this body to send."""
    tenant_id = call.caller.tenant_id
    # The name that was asked for leads to the same deployments as any of its aliases.
    model = route.tiers[0][0].model.name
    return FlightKey(tenant_id, exact_key(body, tenant_id=tenant_id, model=model))


async def compose(
    services: Services, admitted: Admitted[ChatRequest], key: FlightKey | None = None
) -> Composed:
    """The body to send: the caller's, less what is Weir's own, plus sources from knowledge.

    Args:
        services: What the completion works with.
        admitted: The call.
        key: Where the body without sources meets its like, if that is known already.

    Raises:
        NotFoundError: A vector store of the request does not exist, or the model that is to rerank.
        PermissionDeniedError: The key does not allow the model that is to rerank.
        InvalidRequestError: Knowledge is asked for, but the last user message has no text.
        UnavailableError: Knowledge is asked for and PostgreSQL cannot be reached.
    """
    call, body = admitted.call, body_of(admitted.call)
    options, caching = call.request.weir.knowledge, caching_of(call, services.caching)
    if options is None:
        return Composed(admitted=admitted, body=body, passages=(), caching=caching, key=key)
    position = _question_position(call.request)
    question = call.request.messages[position].text
    passages, reranking = await _find(services, admitted, options, question)
    models = [d.model for d in admitted.route.deployments if isinstance(d.model, ChatModel)]
    able = all(model.follows_instructions for model in models)
    context = build_context(
        passages if able else passages[:_PLAIN_PASSAGES], _budget(models), follows_instructions=able
    )
    body["messages"] = _with_sources(body["messages"], position, context.text)
    return Composed(
        admitted=admitted,
        body=body,
        passages=context.passages,
        caching=caching,
        sources=context.text,
        reranking=reranking,
    )


async def _find(
    services: Services, admitted: Admitted[ChatRequest], options: KnowledgeOptions, question: str
) -> tuple[list[Passage], Reranking | None]:
    caller = admitted.call.caller
    reranker = services.search_models(caller).reranker(options.rerank, param=_RERANK)
    query = SearchQuery(
        vector_store_ids=options.vector_store_ids,
        text=question,
        max_results=options.max_results,
        filters=options.filters,
        score_threshold=options.score_threshold,
    )
    found = await search(
        services.database,
        services.embedder(caller, "knowledge"),
        caller.tenant_id,
        query,
        dense_weight=lambda model: services.models.embedding_model(model).hybrid_weight,
        reranker=reranker,
        replica=services.replica,
    )
    async with services.database.tenant(caller.tenant_id) as connection:
        for vector_store_id in options.vector_store_ids:
            await note_use(connection, vector_store_id, admitted.call.started)
    return found, outcome_of(options.rerank, reranker, param=_RERANK) if options.rerank else None


def _budget(models: Sequence[ChatModel]) -> int:
    return min(min(model.context_window for model in models) // _CONTEXT_SHARE, CONTEXT_LIMIT)


def _question_position(request: ChatRequest) -> int:
    for position in range(len(request.messages) - 1, -1, -1):
        if request.messages[position].role == "user" and request.messages[position].text.strip():
            return position
    raise InvalidRequestError("weir.knowledge needs a question: no user message has text.", param="messages")


def _with_sources(
    messages: Sequence[Mapping[str, Any]], position: int, sources: str
) -> list[Mapping[str, Any]]:
    """Sources go before the question in the user's message: text of documents gets no system's authority."""
    question = messages[position]
    content = question["content"]
    if isinstance(content, str):
        grounded: Any = f"{sources}\n\n{content}"
    else:
        grounded = [{"type": "text", "text": sources}, *content]
    return [*messages[:position], {**question, "content": grounded}, *messages[position + 1 :]]
