"""Errors of an HTTP function in OpenAI's shape, whatever raised them."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from shared.errors import InvalidRequestError, WeirError
from shared.http.request_id import request_id
from shared.telemetry import Logger

_INTERNAL = "Something went wrong on our side; the request id names it in the logs."


def error_response(error: WeirError) -> Response:
    """The answer for an expected failure."""
    return JSONResponse(error.body(), status_code=error.status, headers=error.headers)


def add_error_handlers(app: FastAPI, log: Logger) -> None:
    """Answer every failure of `app` with OpenAI's error body; log the unexpected with the request id."""

    async def expected(_: Request, error: Exception) -> Response:
        assert isinstance(error, WeirError)  # noqa: S101 - registered for this class
        return error_response(error)

    async def invalid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class
        first = error.errors()[0]
        place = ".".join(str(step) for step in first["loc"] if step != "body")
        return error_response(InvalidRequestError(f"{place or 'body'}: {first['msg']}", param=place or None))

    async def routing(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class
        message = f"{request.method} {request.url.path}: {error.detail}."
        body = InvalidRequestError(message, code="unknown_route" if error.status_code == 404 else None).body()
        return JSONResponse(body, status_code=error.status_code, headers=error.headers)

    async def unexpected(request: Request, error: Exception) -> Response:
        identity = request_id(request.scope)
        log.error("unexpected error", exc_info=error, extra={"request_id": identity})
        return JSONResponse(WeirError(_INTERNAL).body(), status_code=500, headers={"x-request-id": identity})

    app.add_exception_handler(WeirError, expected)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, routing)
    app.add_exception_handler(Exception, unexpected)
