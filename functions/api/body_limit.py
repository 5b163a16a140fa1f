"""Refuses a body that is too large while it arrives, before any of it is parsed.

FastAPI's own `max_body_size` answers in plain text, which no client of OpenAI's understands.
"""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.errors import TooLargeError

# What a multipart body has beside the file itself.
_FORM_OVERHEAD = 64 * 1024


class BodyLimit:
    """Inner layer: reading past the limit raises `TooLargeError` in whoever reads."""

    def __init__(self, app: ASGIApp, *, json_bytes: int, upload_bytes: int) -> None:
        self._app = app
        self._json_bytes = json_bytes
        self._upload_bytes = upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_form = Headers(scope=scope).get("content-type", "").startswith("multipart/form-data")
        left = self._upload_bytes + _FORM_OVERHEAD if is_form else self._json_bytes

        async def receive_limited() -> Message:
            nonlocal left
            message = await receive()
            if message["type"] == "http.request":
                left -= len(message.get("body", b""))
                if left < 0:
                    raise upload_too_large(self._upload_bytes) if is_form else self._json_too_large()
            return message

        await self._app(scope, receive_limited, send)

    def _json_too_large(self) -> TooLargeError:
        return TooLargeError(f"The body is larger than {self._json_bytes:,} bytes; send less at a time.")


def upload_too_large(limit: int) -> TooLargeError:
    """The error for a file that cannot come in the body, naming the way that it can come."""
    return TooLargeError(
        f"A file in the body of a request may have {limit:,} bytes. For a larger one POST /v1/files with the"
        ' JSON body {"filename", "purpose", "bytes", "media_type"}, then PUT the file to `weir.upload.url`.',
        param="file",
    )
