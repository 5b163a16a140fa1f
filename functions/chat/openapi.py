"""The OpenAPI document of chat: its routes read their bodies themselves, so the schemas are added here."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

_REFERENCE = "#/components/schemas/{model}"


def body_of(kind: type[BaseModel]) -> dict[str, Any]:
    """`openapi_extra` of a route whose JSON body is of this kind."""
    schema = {"$ref": _REFERENCE.format(model=kind.__name__)}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def describe_bodies(app: FastAPI, kinds: tuple[type[BaseModel], ...]) -> None:
    """Have the document of `app` define the kinds that `body_of` refers to."""
    plain = app.openapi

    def document() -> dict[str, Any]:
        whole = plain()
        _, schemas = models_json_schema([(kind, "validation") for kind in kinds], ref_template=_REFERENCE)
        defined: Mapping[str, Any] = schemas["$defs"]
        whole.setdefault("components", {}).setdefault("schemas", {}).update(defined)
        return whole

    app.openapi = document  # type: ignore[method-assign]
