"""Errors a caller can be shown: each knows its HTTP status and OpenAI's error shape.

The shape is `{"error": {"message", "type", "code", "param"}}`, so that the OpenAI SDK raises its own
exception classes (https://platform.openai.com/docs/guides/error-codes).
"""

from typing import ClassVar


class WeirError(Exception):
    """An expected failure. The message is for the caller and says what to do."""

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    code: ClassVar[str | None] = None

    def __init__(self, message: str, *, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.error_code = code or type(self).code

    @property
    def headers(self) -> dict[str, str]:
        """Answer headers that belong to this error."""
        return {}

    def body(self) -> dict[str, dict[str, str | None]]:
        """OpenAI's error object."""
        return {
            "error": {
                "message": self.message,
                "type": type(self).type,
                "code": self.error_code,
                "param": self.param,
            }
        }


class InvalidRequestError(WeirError):
    """400: the request can never succeed as it is."""

    status = 400
    type = "invalid_request_error"


class AuthenticationError(WeirError):
    """401: no key, or one that is unknown, expired or revoked."""

    status = 401
    type = "invalid_request_error"
    code = "invalid_api_key"


class PermissionDeniedError(WeirError):
    """403: the key is known and may not do this."""

    status = 403
    type = "invalid_request_error"
    code = "permission_denied"


class NotFoundError(WeirError):
    """404: no such thing for this tenant."""

    status = 404
    type = "invalid_request_error"
    code = "not_found"


class ConflictError(WeirError):
    """409: the thing is not in a state that allows this."""

    status = 409
    type = "invalid_request_error"
    code = "conflict"


class TooLargeError(WeirError):
    """413: over a documented size limit."""

    status = 413
    type = "invalid_request_error"
    code = "request_too_large"


class RateLimitError(WeirError):
    """429: a limit is reached; `retry_after` says in how many seconds to come back.

    With `should_retry=False` the OpenAI SDK is told not to try again by itself, which would be in vain.
    """

    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"

    def __init__(
        self, message: str, *, retry_after: float, code: str | None = None, should_retry: bool = True
    ) -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after
        self.should_retry = should_retry

    @property
    def headers(self) -> dict[str, str]:
        headers = {"retry-after": str(max(1, round(self.retry_after)))}
        return headers if self.should_retry else headers | {"x-should-retry": "false"}


class BudgetError(RateLimitError):
    """429: the money of a UTC day or month is used up; `retry_after` reaches to its end."""

    type = "insufficient_quota"
    code = "insufficient_quota"


class UpstreamError(WeirError):
    """502: every deployment that could answer failed."""

    status = 502
    type = "server_error"
    code = "upstream_error"


class UnavailableError(WeirError):
    """503: a part that this request needs is not reachable."""

    status = 503
    type = "server_error"
    code = "unavailable"
