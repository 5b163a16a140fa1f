"""Bodies of requests, as far as Weir reads them. Fields it does not know go to the provider untouched."""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from shared.errors import InvalidRequestError
from shared.knowledge.filters import AttributeFilter
from shared.limits.limits import CacheMode
from shared.providers.tokens import estimate_tokens

Role = Literal["system", "developer", "user", "assistant", "tool", "function"]

# OpenAI's own price for an image part of ordinary size; only the estimate before a call uses it.
_IMAGE_TOKENS = 800

# Completion tokens assumed when the request sets no limit; corrected when the answer is there.
_ASSUMED_COMPLETION = 512


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")


class ContentPart(_Part):
    """One part of a message: text, an image, or whatever a provider adds."""

    type: str
    text: str | None = None


class Message(_Part):
    """One message of the conversation."""

    role: Role
    content: str | tuple[ContentPart, ...] | None = None

    @property
    def text(self) -> str:
        """All text of the message."""
        if isinstance(self.content, tuple):
            return "\n".join(part.text for part in self.content if part.text)
        return self.content or ""

    @property
    def images(self) -> int:
        """How many image parts the message has."""
        parts = self.content if isinstance(self.content, tuple) else ()
        return sum(part.type == "image_url" for part in parts)


class StreamOptions(_Part):
    """`include_usage`: whether the caller wants the usage chunk."""

    include_usage: bool = False


class ResponseFormat(_Part):
    """`text`, `json_object` or `json_schema`."""

    type: str


class KnowledgeOptions(BaseModel):
    """Which vector stores to answer from.

    `rerank`: let a model put the best passages in order: that which the deployment has set, or a rerank or
    chat model by its name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    vector_store_ids: Annotated[tuple[str, ...], Field(min_length=1, max_length=10)]
    max_results: Annotated[int, Field(ge=1, le=50)] = 8
    filters: AttributeFilter | None = None
    score_threshold: Annotated[float, Field(ge=0, le=1)] = 0.0
    rerank: bool | Annotated[str, Field(max_length=256)] = False


class CacheOptions(BaseModel):
    """How answers are cached: `exact` gives the same answer to the same body for `ttl` seconds.

    `semantic` also gives it to a question that asks the same in other words; of the answers given so, a share
    of `error_bound` may be wrong. What is left out is as the key says, else as the settings say.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: CacheMode | None = None
    ttl: Annotated[int, Field(ge=1, le=30 * 86_400)] | None = None
    error_bound: Annotated[float, Field(gt=0, le=0.5)] | None = None


class WeirOptions(BaseModel):
    """What OpenAI has no word for: the request's `weir` field.

    `fallback` names the models that may answer instead, in order; empty for none, left out for the catalog's.
    `resumable` keeps a stream going when its client is gone, and sends no token that the log does not hold.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    knowledge: KnowledgeOptions | None = None
    cache: CacheOptions = CacheOptions()
    fallback: Annotated[tuple[str, ...], Field(max_length=10)] | None = None
    resumable: bool = False


class ChatRequest(_Part):
    """A body of `POST /v1/chat/completions`."""

    model: Annotated[str, Field(min_length=1, max_length=200)]
    messages: Annotated[tuple[Message, ...], Field(min_length=1)]
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    max_tokens: PositiveInt | None = None
    max_completion_tokens: PositiveInt | None = None
    n: Annotated[int, Field(ge=1, le=128)] | None = None
    response_format: ResponseFormat | None = None
    tools: tuple[dict[str, Any], ...] | None = None
    weir: WeirOptions = WeirOptions()

    @property
    def wants_usage(self) -> bool:
        """Whether the caller asked for usage in its stream."""
        return self.stream_options is not None and self.stream_options.include_usage

    @property
    def estimated_prompt_tokens(self) -> int:
        """Tokens of the messages, before the call."""
        return sum(estimate_tokens(m.text) + m.images * _IMAGE_TOKENS for m in self.messages)

    @property
    def completion_limit(self) -> int | None:
        """The most tokens that one answer may have, if the caller says so."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def answers(self) -> int:
        """How many answers are asked for."""
        return self.n or 1

    @property
    def estimated_completion_tokens(self) -> int:
        """Tokens of all answers, before the call."""
        return (self.completion_limit or _ASSUMED_COMPLETION) * self.answers

    @property
    def estimated_tokens(self) -> int:
        """Prompt and completion together, before the call."""
        return self.estimated_prompt_tokens + self.estimated_completion_tokens


class EmbeddingsRequest(_Part):
    """A body of `POST /v1/embeddings`: texts, or lists of token numbers."""

    model: Annotated[str, Field(min_length=1, max_length=200)]
    input: (
        Annotated[str, Field(min_length=1)]
        | Annotated[tuple[str, ...], Field(min_length=1, max_length=2048)]
        | Annotated[tuple[int, ...], Field(min_length=1)]
        | Annotated[tuple[tuple[int, ...], ...], Field(min_length=1, max_length=2048)]
    )

    @property
    def estimated_tokens(self) -> int:
        """Tokens of the input, before the call."""
        items = (self.input,) if isinstance(self.input, str) else self.input
        return sum(_estimate(item) for item in items)


def _estimate(item: str | int | tuple[int, ...]) -> int:
    if isinstance(item, str):
        return estimate_tokens(item)
    return len(item) if isinstance(item, tuple) else 1


R = TypeVar("R", ChatRequest, EmbeddingsRequest)


def parse_request(kind: type[R], body: object) -> R:
    """Validate a decoded body.

    Raises:
        InvalidRequestError: Names the first field at fault and what is wrong with it.
    """
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(step) for step in first["loc"])
        raise InvalidRequestError(f"{place or 'body'}: {first['msg']}", param=place or None) from error
