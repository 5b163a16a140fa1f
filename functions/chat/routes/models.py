"""GET /v1/models and /v1/models/{model}."""

from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel

from chat.incoming import caller_of, connections_of
from shared.errors import NotFoundError
from shared.limits.caller import Caller
from shared.providers.catalog import Catalog

router = APIRouter()


class ModelKind(BaseModel):
    """What OpenAI's object does not say: what a model is for."""

    kind: Literal["chat", "embedding", "rerank"]


class ModelObject(BaseModel):
    """OpenAI's model object; the catalog knows no date of creation."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str
    weir: ModelKind


class ModelList(BaseModel):
    """OpenAI's list of models."""

    object: Literal["list"] = "list"
    data: list[ModelObject]


@router.get("/v1/models")
async def list_models(request: Request) -> ModelList:
    """The models that the caller's key allows."""
    caller = await caller_of(request)
    return ModelList(data=_visible(connections_of(request).services.models.catalog, caller))


@router.get("/v1/models/{model:path}")
async def retrieve_model(request: Request, model: str) -> ModelObject:
    """One model that the caller's key allows."""
    caller = await caller_of(request)
    for found in _visible(connections_of(request).services.models.catalog, caller):
        if found.id == model:
            return found
    raise NotFoundError(f"There is no model {model!r} for this key.", code="model_not_found", param="model")


def _visible(catalog: Catalog, caller: Caller) -> list[ModelObject]:
    found: dict[str, ModelObject] = {}
    for provider in catalog.providers:
        for model in provider.models:
            shown = ModelObject(id=model.name, owned_by=provider.name, weir=ModelKind(kind=model.kind))
            found.setdefault(model.name, shown)
    return [shown for shown in found.values() if caller.may_use(shown.id)]
