"""The catalog: a provider is a row. Adding one, or a model, takes TOML and no code.

[[providers]]
name = "my-vllm"
base_url = "http://10.0.0.7:8000/v1"
secret = "ssm:/weir/my-vllm"          # "none" for an endpoint that asks for no key

[[providers.models]]
name = "qwen3-coder"
kind = "chat"
context_window = 131072
abilities = ["tools", "json_object"]
price = { input = "0", output = "0" }
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError, model_validator

from shared.errors import NotFoundError
from shared.ledger.prices import Price

Ability = Literal["vision", "tools", "json_object", "json_schema", "thinking"]

# What a provider does differently from OpenAI; each is handled in `dialect.py`.
Quirk = Literal["reasoning_content_required"]


class CatalogError(Exception):
    """The catalog's TOML is not of the documented form; the message names the place."""


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ChatModel(_Row):
    """A model that answers chat completions. Token counts are the provider's own.

    `follows_instructions` is false for a model so small that it repeats instructions instead.
    """

    kind: Literal["chat"]
    name: str
    upstream_name: str | None = None
    aliases: tuple[str, ...] = ()
    context_window: PositiveInt
    max_output_tokens: PositiveInt | None = None
    abilities: frozenset[Ability] = frozenset()
    follows_instructions: bool = True
    price: Price


class EmbeddingModel(_Row):
    """A model that answers embeddings: vectors of `dimensions` numbers.

    `hybrid_weight` is the weight of vectors beside BM25 in search (0 to 1): less for a weak encoder.
    """

    kind: Literal["embedding"]
    name: str
    upstream_name: str | None = None
    aliases: tuple[str, ...] = ()
    context_window: PositiveInt
    dimensions: PositiveInt
    batch_size: PositiveInt = 64
    hybrid_weight: float = Field(default=0.4, ge=0, le=1)
    price: Price


Model = Annotated[ChatModel | EmbeddingModel, Field(discriminator="kind")]


class Provider(_Row):
    """An OpenAI-compatible endpoint: where it is, which secret opens it, what it serves."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
    base_url: Annotated[str, Field(pattern=r"^https?://")]
    secret: str | None = None
    quirks: frozenset[Quirk] = frozenset()
    models: tuple[Model, ...] = ()


@dataclass(frozen=True)
class Deployment:
    """One model at one provider: what a request can be sent to."""

    provider: Provider
    model: ChatModel | EmbeddingModel

    @property
    def upstream_name(self) -> str:
        """The model's name as the provider knows it."""
        return self.model.upstream_name or self.model.name


class Catalog(_Row):
    """All providers; of two with one name, the later replaces the earlier."""

    providers: tuple[Provider, ...] = ()

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [provider.name for provider in self.providers]
        if duplicate := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"two providers are named {sorted(duplicate)[0]!r}")
        return self

    @classmethod
    def from_toml(cls, text: str) -> "Catalog":
        """Parse a catalog.

        Raises:
            CatalogError: Not TOML, or not of this form.
        """
        try:
            return cls.model_validate(tomllib.loads(text))
        except (tomllib.TOMLDecodeError, ValidationError) as error:
            raise CatalogError(f"The catalog cannot be read: {error}") from error

    def extended_by(self, other: "Catalog") -> "Catalog":
        """This catalog with the other's providers added or put in place of those of the same name."""
        merged = {provider.name: provider for provider in (*self.providers, *other.providers)}
        return Catalog(providers=tuple(merged.values()))

    def deployments(self) -> Mapping[str, tuple[Deployment, ...]]:
        """Deployments by every name, alias and `provider/name` that reaches them, in catalog order."""
        found: dict[str, tuple[Deployment, ...]] = {}
        for provider in self.providers:
            for model in provider.models:
                deployment = Deployment(provider, model)
                for name in (model.name, *model.aliases, f"{provider.name}/{model.name}"):
                    found[name] = (*found.get(name, ()), deployment)
        return found


class Models:
    """Look-up by name over a catalog, made once per process."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._deployments = catalog.deployments()

    def chat(self, name: str) -> tuple[Deployment, ...]:
        """The deployments that answer chat under this name, first choice first.

        Raises:
            NotFoundError: No chat model has this name.
        """
        return self._of_kind(name, "chat")

    def embedding(self, name: str) -> tuple[Deployment, ...]:
        """The deployments that embed under this name, first choice first.

        Raises:
            NotFoundError: No embedding model has this name.
        """
        return self._of_kind(name, "embedding")

    def embedding_model(self, name: str) -> EmbeddingModel:
        """The row of an embedding model, for its dimensions.

        Raises:
            NotFoundError: No embedding model has this name.
        """
        model = self.embedding(name)[0].model
        assert isinstance(model, EmbeddingModel)  # noqa: S101 - `_of_kind` filtered by kind
        return model

    def _of_kind(self, name: str, kind: Literal["chat", "embedding"]) -> tuple[Deployment, ...]:
        found = tuple(d for d in self._deployments.get(name, ()) if d.model.kind == kind)
        if not found:
            raise NotFoundError(
                f"There is no {kind} model {name!r}; GET /v1/models lists those that are served.",
                code="model_not_found",
                param="model",
            )
        return found
