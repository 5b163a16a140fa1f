"""/v1/vector_stores."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query

from api.attaching import attach_all, check_count, start_ingestion
from api.caller import WithCaller, WithServices
from api.schemas.fields import VectorStorePath
from api.schemas.paging import ListPage, StoreListQuery, shown
from api.schemas.store_files import AttachRequest
from api.schemas.vector_stores import (
    CreateStoreRequest,
    StoreExpiry,
    UpdateStoreRequest,
    VectorStoreDeleted,
    VectorStoreObject,
    chunk_tokens_of,
    store_object,
)
from api.services import Services
from shared.errors import InvalidRequestError, PermissionDeniedError
from shared.knowledge.model_change import begin_change
from shared.knowledge.store_models import NewVectorStore, StoreSettings
from shared.knowledge.stores import create_store, delete_store, get_store, list_stores, update_store
from shared.knowledge.vectors import DIMENSIONS
from shared.limits.caller import Caller

router = APIRouter(prefix="/vector_stores")


@router.post("")
async def create(body: CreateStoreRequest, services: WithServices, caller: WithCaller) -> VectorStoreObject:
    """A store, with files attached if any are named."""
    check_count(body.file_ids, services, "file_ids")
    new = _new_store(body, services, caller)
    wanted = [AttachRequest(file_id=file_id) for file_id in dict.fromkeys(body.file_ids)]
    async with services.database.tenant(caller.tenant_id) as connection:
        store = await create_store(connection, new, services.clock())
        files = await attach_all(connection, caller, store.vector_store_id, wanted)
        store = await get_store(connection, store.vector_store_id)
    await start_ingestion(services, caller, files)
    return store_object(store, services.clock())


@router.get("")
async def list_(
    services: WithServices, caller: WithCaller, query: Annotated[StoreListQuery, Query()]
) -> ListPage[VectorStoreObject]:
    """The tenant's stores."""
    async with services.database.tenant(caller.tenant_id) as connection:
        page = await list_stores(connection, query.page_request)
    now = services.clock()
    return shown(page, lambda store: store_object(store, now))


@router.get("/{vector_store_id}")
async def retrieve(
    vector_store_id: VectorStorePath, services: WithServices, caller: WithCaller
) -> VectorStoreObject:
    """One store."""
    async with services.database.tenant(caller.tenant_id) as connection:
        return store_object(await get_store(connection, vector_store_id), services.clock())


@router.post("/{vector_store_id}")
async def update(
    vector_store_id: VectorStorePath, body: UpdateStoreRequest, services: WithServices, caller: WithCaller
) -> VectorStoreObject:
    """Change a store's name, metadata, expiry or embedding model."""
    named, message = body.weir.embedding_model, None
    model = None if named is None else _embedding_model(named, services, caller)
    async with services.database.tenant(caller.tenant_id) as connection:
        store = await get_store(connection, vector_store_id)
        changed = await update_store(connection, vector_store_id, _changed(store.settings, body))
        if model is not None:
            message = await begin_change(
                connection, caller.tenant_id, vector_store_id, model.name, model.dimensions
            )
            changed = await get_store(connection, vector_store_id)
    if message is not None:
        await services.ingestion.send([message])
    return store_object(changed, services.clock())


@router.delete("/{vector_store_id}")
async def delete(
    vector_store_id: VectorStorePath, services: WithServices, caller: WithCaller
) -> VectorStoreDeleted:
    """Delete a store with all that was made of its files; the files stay."""
    async with services.database.tenant(caller.tenant_id) as connection:
        await delete_store(connection, vector_store_id)
    return VectorStoreDeleted(id=vector_store_id)


def _new_store(body: CreateStoreRequest, services: Services, caller: Caller) -> NewVectorStore:
    model = _embedding_model(body.weir.embedding_model, services, caller)
    return NewVectorStore(
        tenant_id=caller.tenant_id,
        settings=StoreSettings(
            name=body.name or "",
            metadata=body.metadata or {},
            expires_after_days=_days(body.expires_after),
        ),
        description=body.description,
        embedding_model=model.name,
        dimensions=model.dimensions,
        chunk_tokens=chunk_tokens_of(body.chunking_strategy),
    )


@dataclass(frozen=True)
class _EmbeddingModel:
    name: str
    dimensions: int


def _embedding_model(named: str | None, services: Services, caller: Caller) -> _EmbeddingModel:
    """The model that a store is to have: the deployment's own where none is named."""
    if named is not None and not caller.may_use(named):
        raise PermissionDeniedError(
            f"This key does not allow the model {named!r}; ask its owner to add it.",
            param="weir.embedding_model",
        )
    name = named or services.embedding_model
    dimensions = services.models.embedding_model(name).dimensions
    if dimensions not in DIMENSIONS:
        sizes = ", ".join(map(str, sorted(DIMENSIONS)))
        raise InvalidRequestError(
            f"The model {name!r} makes vectors of {dimensions} numbers; a store holds those of {sizes}.",
            param="weir.embedding_model",
        )
    return _EmbeddingModel(name, dimensions)


def _changed(settings: StoreSettings, body: UpdateStoreRequest) -> StoreSettings:
    sent = body.model_fields_set
    return StoreSettings(
        name=(body.name or "") if "name" in sent else settings.name,
        metadata=(body.metadata or {}) if "metadata" in sent else settings.metadata,
        expires_after_days=(
            _days(body.expires_after) if "expires_after" in sent else settings.expires_after_days
        ),
    )


def _days(expiry: StoreExpiry | None) -> int | None:
    return None if expiry is None else expiry.days
