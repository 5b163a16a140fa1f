"""Reads `POST /v1/files`, which comes in two forms: with the file in it, or with word of one to come."""

import json
from dataclasses import dataclass
from typing import Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData, UploadFile

from api.body_limit import upload_too_large
from api.schemas.fields import RequestModel
from api.schemas.files import DEFAULT_MEDIA_TYPE, Filename, MediaType, UploadForm, UploadRequest
from shared.errors import InvalidRequestError

T = TypeVar("T", bound=BaseModel)

# Fields beside the file: purpose, and the two of expires_after.
_FIELD_LIMIT = 8
_FIELD_BYTES = 1024


class _FileName(RequestModel):
    file: Filename


class _FileType(RequestModel):
    file: MediaType


@dataclass(frozen=True)
class Upload:
    """A file in the body of a request. Close `form` when done: its files may be on disk."""

    form: FormData
    fields: UploadForm
    file: UploadFile
    filename: str
    media_type: str


async def read_request(request: Request, limit: int) -> Upload | UploadRequest:
    """What was sent, validated.

    Args:
        limit: Largest file in a body, in bytes.

    Raises:
        InvalidRequestError: Neither JSON nor a form, or a form without its file.
        RequestValidationError: A field that is missing or wrong.
        TooLargeError: A file over the limit; the message names the way for large files.
    """
    content_type = request.headers.get("content-type", "")
    if content_type.startswith("application/json"):
        return _validated(UploadRequest, _json(await request.body()))
    if not content_type.startswith("multipart/form-data"):
        raise InvalidRequestError(
            "Send the file as multipart/form-data, as OpenAI's SDK does, or a JSON object"
            ' {"filename", "purpose", "bytes", "media_type"} to be told where to PUT it.'
        )
    form = await request.form(max_files=1, max_fields=_FIELD_LIMIT, max_part_size=_FIELD_BYTES)
    try:
        return _upload(form, limit)
    except BaseException:
        await form.close()
        raise


def _upload(form: FormData, limit: int) -> Upload:
    file = form.get("file")
    if not isinstance(file, UploadFile):
        raise InvalidRequestError("The form needs the file itself, in a part named 'file'.", param="file")
    if file.size is not None and file.size > limit:
        raise upload_too_large(limit)
    if not file.size:
        raise InvalidRequestError("The file is empty.", param="file")
    return Upload(
        form=form,
        fields=_validated(UploadForm, _fields(form)),
        file=file,
        filename=_validated(_FileName, {"file": file.filename}).file,
        media_type=_validated(_FileType, {"file": file.content_type or DEFAULT_MEDIA_TYPE}).file,
    )


def _fields(form: FormData) -> dict[str, Any]:
    """The form's fields; OpenAI's SDK writes an object's as `expires_after[anchor]`."""
    fields: dict[str, Any] = {}
    for name, value in form.multi_items():
        outer, bracket, inner = name.partition("[")
        if bracket:
            inside = fields.setdefault(outer, {})
            # Sent as text too, it stays text, and is refused as such.
            if isinstance(inside, dict):
                inside[inner.rstrip("]")] = value
        elif name != "file":
            fields[name] = value
    return fields


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidRequestError(f"The body is not valid JSON: {error}.") from error


def _validated(model: type[T], value: Any) -> T:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise RequestValidationError(
            [{**problem, "loc": ("body", *problem["loc"])} for problem in error.errors()]
        ) from error
