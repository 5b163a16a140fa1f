"""The rows of models in the catalog: what each kind of model can do and costs."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt

from shared.ledger.prices import Price
from shared.limits.limits import UNLIMITED, Limits

Ability = Literal["vision", "tools", "json_object", "json_schema", "thinking"]


class Row(BaseModel):
    """Part of the catalog; what it does not know it refuses."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class _ModelRow(Row):
    """What all models have. Without a price a row is refused: nothing is ever served for free by mistake.

    Of the rows that serve one name those of the lowest `priority` are asked first; among these `weight` is
    a row's share of the requests. `limits` are what one tenant may ask of the model.
    """

    name: str
    upstream_name: str | None = None
    aliases: tuple[str, ...] = ()
    context_window: PositiveInt
    price: Price
    weight: PositiveFloat = 1.0
    priority: Annotated[int, Field(ge=0)] = 0
    limits: Limits = UNLIMITED


class ChatModel(_ModelRow):
    """A model that answers chat completions. Token counts are the provider's own.

    `follows_instructions` is false for a model so small that it repeats instructions instead. `fallbacks` are
    the models asked, in order, when no deployment of this one answers. With `hedge`, a first token that is
    unusually late is asked of another deployment too.
    """

    kind: Literal["chat"]
    max_output_tokens: PositiveInt | None = None
    abilities: frozenset[Ability] = frozenset()
    follows_instructions: bool = True
    fallbacks: tuple[str, ...] = ()
    hedge: bool = False


class EmbeddingModel(_ModelRow):
    """A model that answers embeddings: vectors of `dimensions` numbers.

    `hybrid_weight` is the weight of vectors beside BM25 in search (0 to 1).
    """

    kind: Literal["embedding"]
    dimensions: PositiveInt
    batch_size: PositiveInt = 64
    hybrid_weight: float = Field(default=0.5, ge=0, le=1)


class RerankModel(_ModelRow):
    """A cross-encoder behind `/rerank`: says how relevant documents are to a query.

    Cohere, Jina, vLLM and others answer `{model, query, documents, top_n}` with `results` of `index` and
    `relevance_score`. A document is cut to `document_characters`.
    """

    kind: Literal["rerank"]
    document_characters: PositiveInt = 4_000


Model = Annotated[ChatModel | EmbeddingModel | RerankModel, Field(discriminator="kind")]
