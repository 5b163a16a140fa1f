"""Both forms of POST /v1/files, read from bytes as clients send them."""

from typing import Any

import httpx2
import pytest
from fastapi.exceptions import RequestValidationError
from starlette.requests import Request
from starlette.types import Message

from api.schemas.files import UploadRequest
from api.uploads import Upload, read_request
from shared.errors import InvalidRequestError, TooLargeError

LIMIT = 100


def request(**sent: Any) -> Request:
    encoded = httpx2.Request("POST", "http://test/v1/files", **sent)
    body = encoded.read()

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    headers = [(name.lower(), value) for name, value in encoded.headers.raw]
    return Request({"type": "http", "method": "POST", "path": "/v1/files", "headers": headers}, receive)


async def read_upload(**sent: Any) -> Upload:
    read = await read_request(request(**sent), LIMIT)
    assert isinstance(read, Upload)
    await read.form.close()
    return read


async def test_a_form_as_the_sdk_sends_it() -> None:
    upload = await read_upload(
        data={
            "purpose": "assistants",
            "expires_after[anchor]": "created_at",
            "expires_after[seconds]": "3600",
        },
        files={"file": ("年报.md", b"# Title", "text/markdown")},
    )
    assert (upload.filename, upload.media_type, upload.file.size) == ("年报.md", "text/markdown", 7)
    assert upload.fields.purpose == "assistants"
    assert upload.fields.expires_after is not None
    assert upload.fields.expires_after.seconds == 3600


async def test_a_json_body_announces_a_file() -> None:
    sent = {
        "filename": "big.pdf",
        "purpose": "user_data",
        "bytes": 5_000_000,
        "media_type": "application/pdf",
    }
    read = await read_request(request(json=sent), LIMIT)
    assert isinstance(read, UploadRequest)
    assert read.model_dump(exclude_none=True) == sent


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "purpose"),
        ({"purpose": "fine-tune"}, "purpose"),
        ({"purpose": "batch", "colour": "red"}, "colour"),
        ({"purpose": "batch", "expires_after[seconds]": "60"}, "expires_after"),
        ({"purpose": "batch", "expires_after[": "60"}, "expires_after"),
    ],
)
async def test_a_form_with_a_wrong_field_names_it(fields: dict[str, str], field: str) -> None:
    with pytest.raises(RequestValidationError) as caught:
        await read_upload(data=fields, files={"file": ("a.txt", b"text")})
    assert caught.value.errors()[0]["loc"][1] == field


@pytest.mark.parametrize(
    "sent",
    [
        {"data": {"purpose": "batch"}, "files": {"document": ("a.txt", b"text")}},
        {"data": {"purpose": "batch"}, "files": {"file": ("a.txt", b"")}},
        {"content": b"plain", "headers": {"content-type": "text/plain"}},
        {"content": b"{", "headers": {"content-type": "application/json"}},
        {"content": b"[" * 90, "headers": {"content-type": "application/json"}},
    ],
)
async def test_what_holds_no_file_says_what_to_send(sent: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError):
        await read_request(request(**sent), LIMIT)


async def test_a_field_given_as_text_and_as_object_is_refused() -> None:
    with pytest.raises(RequestValidationError):
        await read_upload(
            data={"purpose": "batch", "expires_after": "soon", "expires_after[seconds]": "3600"},
            files={"file": ("a.txt", b"text")},
        )


async def test_a_file_over_the_limit_names_the_way_for_large_ones() -> None:
    with pytest.raises(TooLargeError, match="PUT the file"):
        await read_upload(data={"purpose": "batch"}, files={"file": ("a.txt", b"x" * (LIMIT + 1))})
    assert (
        await read_upload(data={"purpose": "batch"}, files={"file": ("a.txt", b"x" * LIMIT)})
    ).file.size == LIMIT
