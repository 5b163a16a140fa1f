"""Which chat model fills in the records of a scrape, and who pays for it."""

from shared.errors import InvalidRequestError, NotFoundError, PermissionDeniedError
from shared.limits.caller import Caller
from shared.providers.catalog import Models
from shared.providers.model_rows import ChatModel
from shared.web.filled_schema import BadSchemaError, FilledSchema, plain_schema
from shared.web.scrape_models import NewScrape

_SCHEMA, _MODEL = "records.json_schema", "records.model"


def with_record_model(new: NewScrape, models: Models, caller: Caller) -> NewScrape:
    """The same scrape; where a model fills in its records, with that model, and paid for by the caller.

    Raises:
        InvalidRequestError: The schema is none, or there is no chat model.
        NotFoundError: No chat model has the name.
        PermissionDeniedError: The key does not allow it.
    """
    asked = new.rules.records
    if not isinstance(asked, FilledSchema):
        return new
    try:
        schema = plain_schema(asked.json_schema)
    except BadSchemaError as error:
        raise InvalidRequestError(f"Invalid '{_SCHEMA}': {error}.", param=_SCHEMA) from error
    model = _allowed(asked.model, models, caller) if asked.model else _first(models, caller)
    records = asked.model_copy(update={"json_schema": schema, "model": model})
    rules = new.rules.model_copy(update={"records": records, "key_id": caller.key_id})
    return new.model_copy(update={"rules": rules})


def _allowed(name: str, models: Models, caller: Caller) -> str:
    try:
        models.chat(name)
    except NotFoundError as error:
        raise NotFoundError(error.message, code=error.error_code, param=_MODEL) from error
    if not caller.may_use(name):
        raise PermissionDeniedError(f"This key does not allow the model {name!r}.", param=_MODEL)
    return name


def _first(models: Models, caller: Caller) -> str:
    """Of those that the key allows, the catalog's first that keeps to a schema; else its first."""
    chats = [
        model
        for provider in models.catalog.providers
        for model in provider.models
        if isinstance(model, ChatModel) and caller.may_use(model.name)
    ]
    if not chats:
        raise InvalidRequestError("There is no chat model to fill in records; name one.", param=_MODEL)
    return next((model.name for model in chats if "json_schema" in model.abilities), chats[0].name)
