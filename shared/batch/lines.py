"""The lines of an input file: cut from blocks of bytes, numbered from 1, and checked one by one. Pure.

OpenAI's form: `{"custom_id": "...", "method": "POST", "url": "/v1/chat/completions", "body": {...}}`
(https://platform.openai.com/docs/api-reference/batch/request-input).
"""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.batch.models import Endpoint, Problem
from shared.completion.request import ChatRequest, EmbeddingsRequest, parse_request
from shared.errors import InvalidRequestError

_BOM = b"\xef\xbb\xbf"
_MESSAGE_LENGTH = 500


class LineTooLongError(Exception):
    """A line has more bytes than allowed."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@dataclass(frozen=True, slots=True)
class RawLine:
    """One line: its number in the file, its bytes without its end, and the range it takes with its end."""

    number: int
    data: bytes
    start: int
    end: int


class _Envelope(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    # PostgreSQL's text cannot hold U+0000.
    custom_id: Annotated[str, Field(min_length=1, max_length=512, pattern=r"^[^\x00]+$")]
    method: Literal["POST"]
    url: str
    body: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Request:
    """One line's request, fit to be sent."""

    custom_id: str
    body: dict[str, Any]
    request: ChatRequest | EmbeddingsRequest


@dataclass(frozen=True, kw_only=True)
class BadLine:
    """A line that makes no sense, and why; `custom_id` if that much could be read."""

    custom_id: str | None
    problem: Problem


async def raw_lines(blocks: AsyncIterator[bytes], *, limit: int) -> AsyncIterator[RawLine]:
    """Every line that is not blank.

    Raises:
        LineTooLongError: A line has more than `limit` bytes.
    """
    rest, start, number = b"", 0, 0
    async for block in blocks:
        *whole, rest = (rest + block).split(b"\n")
        for piece in whole:
            number += 1
            if len(piece) > limit:
                raise LineTooLongError(number)
            end = start + len(piece) + 1
            if data := _stripped(piece, number):
                yield RawLine(number, data, start, end)
            start = end
        if len(rest) > limit:
            raise LineTooLongError(number + 1)
    if data := _stripped(rest, number + 1):
        yield RawLine(number + 1, data, start, start + len(rest))


def lines_of(data: bytes, first_line: int) -> Iterator[tuple[int, bytes]]:
    """The lines of a chunk that are not blank, with their numbers."""
    for offset, piece in enumerate(data.split(b"\n")):
        if line := _stripped(piece, first_line + offset):
            yield first_line + offset, line


def read_request(line: bytes, number: int, endpoint: Endpoint) -> Request | BadLine:
    """The request of a line, or what is wrong with it."""
    try:
        decoded = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return _bad(None, number, "invalid_json_line", f"not valid JSON ({error})")
    if not isinstance(decoded, dict):
        return _bad(None, number, "invalid_json_line", "not a JSON object")
    try:
        envelope = _Envelope.model_validate(decoded)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        param = ".".join(str(step) for step in first["loc"])
        return _bad(_custom_id(decoded), number, "invalid_request", f"'{param}': {first['msg']}", param)
    return _request(envelope, number, endpoint)


def _request(envelope: _Envelope, number: int, endpoint: Endpoint) -> Request | BadLine:
    custom_id, body = envelope.custom_id, envelope.body
    if envelope.url != endpoint:
        message = f"'url' is {envelope.url!r}, and the batch is for {endpoint!r}"
        return _bad(custom_id, number, "mismatched_url", message, "url")
    if body.get("stream"):
        message = "'body.stream': a batch gives whole answers; leave it out"
        return _bad(custom_id, number, "invalid_request", message, "body.stream")
    try:
        request = _parsed(body, endpoint)
    except InvalidRequestError as error:
        param = f"body.{error.param}" if error.param else "body"
        return _bad(custom_id, number, "invalid_request", f"'body': {error.message}", param)
    return Request(custom_id=custom_id, body=body, request=request)


def _parsed(body: dict[str, Any], endpoint: Endpoint) -> ChatRequest | EmbeddingsRequest:
    if endpoint == "/v1/embeddings":
        return parse_request(EmbeddingsRequest, body)
    return parse_request(ChatRequest, body)


def _custom_id(decoded: dict[str, Any]) -> str | None:
    found = decoded.get("custom_id")
    return found if isinstance(found, str) and 0 < len(found) <= 512 and "\x00" not in found else None


def _bad(custom_id: str | None, number: int, code: str, what: str, param: str | None = None) -> BadLine:
    message = _storable(f"Line {number} is not right: {what.rstrip('.')}.")
    place = None if param is None else _storable(param)
    return BadLine(custom_id=custom_id, problem=Problem(code=code, message=message, param=place, line=number))


def _storable(text: str) -> str:
    """Field names of the line may be in it; PostgreSQL holds no U+0000."""
    return text.replace("\x00", "")[:_MESSAGE_LENGTH]


def _stripped(piece: bytes, number: int) -> bytes:
    return (piece.removeprefix(_BOM) if number == 1 else piece).strip()
