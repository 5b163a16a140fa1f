"""Failures that this function words itself; the others are answered as by every HTTP function."""

from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from shared.aws.queues import QueueError
from shared.errors import InvalidRequestError, NotFoundError, UnavailableError, WeirError
from shared.http.errors import add_error_handlers, error_response
from shared.http.request_id import request_id
from shared.providers.failures import UpstreamFailure
from shared.telemetry import Logger


def install_error_handlers(app: FastAPI, log: Logger) -> None:
    """Answer every failure of `app` with OpenAI's error body."""

    async def on_aws_failure(request: Request, error: Exception) -> Response:
        log.error("AWS failed", exc_info=error, extra={"request_id": request_id(request.scope)})
        return error_response(UnavailableError("Storage or a queue cannot be reached; try again shortly."))

    add_error_handlers(app, log)
    for kind in (BotoCoreError, ClientError, QueueError):
        app.add_exception_handler(kind, on_aws_failure)
    app.add_exception_handler(UpstreamFailure, _on_upstream_failure)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_error)


async def _on_upstream_failure(_: Request, error: Exception) -> Response:
    assert isinstance(error, UpstreamFailure)  # noqa: S101 - registered for it
    return error_response(error.for_caller())


async def _on_validation_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it
    return error_response(explained(error.errors()[0]))


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
    if isinstance(error.__cause__, WeirError):
        # Raised while the body was read; FastAPI wraps whatever comes out of that.
        return error_response(error.__cause__)
    route = f"{request.method} {request.url.path}"
    match error.status_code:
        case 404:
            response = error_response(NotFoundError(f"There is no route {route}.", code="unknown_url"))
        case 405:
            response = error_response(InvalidRequestError(f"There is no {route}.", code="method_not_allowed"))
        case _:
            response = error_response(InvalidRequestError(f"{error.detail}."))
    response.status_code = error.status_code
    response.headers.update(error.headers or {})
    return response


def explained(problem: Mapping[str, Any]) -> WeirError:
    """The error for a problem that pydantic found, naming the field as OpenAI does: `file_ids[0]`."""
    place, *path = problem["loc"]
    if problem["type"] == "json_invalid":
        return InvalidRequestError(f"The body is not valid JSON: {problem['ctx']['error']}.")
    if place == "path":
        return NotFoundError(f"There is nothing with the id {problem['input']!r}.", param=str(path[0]))
    param = _field(path)
    if not param:
        return InvalidRequestError(
            "Send a JSON object as the body, with the header `Content-Type: application/json`."
        )
    return InvalidRequestError(f"Invalid '{param}': {_reason(problem)}.", param=param)


def _field(path: Sequence[str | int]) -> str:
    name = ""
    for step in path:
        name += f"[{step}]" if isinstance(step, int) else f".{step}" if name else step
    return name


def _reason(problem: Mapping[str, Any]) -> str:
    match problem["type"]:
        case "missing":
            return "this field is required"
        case "extra_forbidden":
            return "this field is not known"
    message: str = problem["msg"].removeprefix("Value error, ").rstrip(".")
    return message[:1].lower() + message[1:]
