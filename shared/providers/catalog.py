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
fallbacks = ["deepseek-flash"]        # asked when no deployment of this model answers
limits = { requests_per_minute = 600 }

A model that several rows name is several deployments, and so is each of a provider's `secrets`.
docs/routing.md says how one is chosen.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from shared.errors import NotFoundError
from shared.providers.model_rows import ChatModel, EmbeddingModel, Model, RerankModel, Row

# What a provider does differently from OpenAI, or OpenAI from the others; each has a function in `quirks.py`.
Quirk = Literal[
    "reasoning_content_required",  # on every assistant turn
    "thinking_switch",  # thinks unless `thinking` says otherwise; knows no effort `none`
    "no_forced_tools_while_thinking",  # `tool_choice` required or named is answered 400
    "max_tokens_only",  # ignores `max_completion_tokens`
    "max_completion_tokens_only",  # refuses `max_tokens`
    "no_developer_role",
    "cache_by_user_id",  # caches prompts for the whole account, unless `user_id` keeps them apart
    "no_foreign_fields",  # refuses fields that it does not know
]


class CatalogError(Exception):
    """The catalog's TOML is not of the documented form; the message names the place."""


Url = Annotated[str, Field(pattern=r"^https?://")]


class Provider(Row):
    """An OpenAI-compatible endpoint: where it is, which secret opens it, what it serves.

    `secrets` instead of `secret` are several keys, each with limits of its own at the provider.
    `prefix_base_url` is where it takes up an answer that was begun (chat prefix completion).
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
    base_url: Url
    prefix_base_url: Url | None = None
    secret: str | None = None
    secrets: tuple[str, ...] = ()
    quirks: frozenset[Quirk] = frozenset()
    models: tuple[Model, ...] = ()

    @model_validator(mode="after")
    def _has_one_kind_of_secret(self) -> Self:
        if self.secret and self.secrets:
            raise ValueError("give `secret` for one key or `secrets` for several, not both")
        return self


@dataclass(frozen=True)
class Deployment:
    """One model at one provider by one of its keys, counted from 1: what a request can be sent to."""

    provider: Provider
    model: ChatModel | EmbeddingModel | RerankModel
    key: int = 1

    @cached_property
    def model_id(self) -> str:
        """`provider/model`, the same for all keys."""
        return f"{self.provider.name}/{self.model.name}"

    @cached_property
    def deployment_id(self) -> str:
        """`provider/model`, with `#2` and so on for further keys: what health is kept by."""
        return self.model_id if self.key == 1 else f"{self.model_id}#{self.key}"

    @property
    def upstream_name(self) -> str:
        """The model's name as the provider knows it."""
        return self.model.upstream_name or self.model.name


class Catalog(Row):
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
                keys = range(1, max(1, len(provider.secrets)) + 1)
                served = tuple(Deployment(provider, model, key) for key in keys)
                for name in dict.fromkeys((model.name, *model.aliases, served[0].model_id)):
                    found[name] = (*found.get(name, ()), *served)
        return found


class Models:
    """Look-up by name over a catalog, made once per process."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.deployments = catalog.deployments()

    def chat(self, name: str) -> tuple[Deployment, ...]:
        """The deployments that answer chat under this name, in catalog order.

        Raises:
            NotFoundError: No chat model has this name.
        """
        return self._of_kind(name, "chat")

    def embedding(self, name: str) -> tuple[Deployment, ...]:
        """The deployments that embed under this name, in catalog order.

        Raises:
            NotFoundError: No embedding model has this name.
        """
        return self._of_kind(name, "embedding")

    def rerank(self, name: str) -> tuple[Deployment, ...]:
        """The deployments that rerank under this name, in catalog order.

        Raises:
            NotFoundError: No rerank model has this name.
        """
        return self._of_kind(name, "rerank")

    def is_chat(self, name: str) -> bool:
        """Whether a chat model has this name."""
        return any(deployment.model.kind == "chat" for deployment in self.deployments.get(name, ()))

    def embedding_model(self, name: str) -> EmbeddingModel:
        """The row of an embedding model, for its dimensions.

        Raises:
            NotFoundError: No embedding model has this name.
        """
        model = self.embedding(name)[0].model
        assert isinstance(model, EmbeddingModel)  # noqa: S101 - `_of_kind` filtered by kind
        return model

    def _of_kind(self, name: str, kind: Literal["chat", "embedding", "rerank"]) -> tuple[Deployment, ...]:
        found = tuple(d for d in self.deployments.get(name, ()) if d.model.kind == kind)
        if not found:
            raise NotFoundError(
                f"There is no {kind} model {name!r}; GET /v1/models lists those that are served.",
                code="model_not_found",
                param="model",
            )
        return found
