"""Lines of output and error files, in OpenAI's form. Pure.

https://platform.openai.com/docs/api-reference/batch/request-output
"""

from typing import Any

import orjson

from shared.batch.models import Problem
from shared.errors import WeirError
from shared.providers.tokens import TokenUsage

_WHY = {
    "batch_expired": "This request could not be asked before the batch expired.",
    "batch_cancelled": "This request was not asked: the batch was cancelled.",
}


def answered(batch_id: str, number: int, custom_id: str, request_id: str, content: bytes) -> str:
    """A line of the output file; `content` is the answer as it came."""
    body = orjson.Fragment(_on_one_line(content))
    return _line(batch_id, number, custom_id, response=_response(200, request_id, body))


def repeated(answered_line: str, batch_id: str, number: int, custom_id: str) -> str:
    """The same answer as a line of the output file that asked the same has."""
    return _line(batch_id, number, custom_id, response=orjson.loads(answered_line)["response"])


def usage_of(answered_line: str) -> TokenUsage:
    """The tokens that a line of the output file took."""
    return TokenUsage.from_body(orjson.loads(answered_line)["response"]["body"].get("usage"))


def refused(batch_id: str, number: int, custom_id: str, request_id: str, error: WeirError) -> str:
    """A line of the error file, for a request that was answered with an error."""
    response = _response(error.status, request_id, error.body())
    return _line(batch_id, number, custom_id, response=response)


def malformed(batch_id: str, number: int, custom_id: str | None, problem: Problem) -> str:
    """A line of the error file, for a line that is no request."""
    error = {"code": problem.code, "message": problem.message, "param": problem.param, "line": problem.line}
    return _line(batch_id, number, custom_id, error=error)


def not_asked(batch_id: str, number: int, custom_id: str | None, *, expired: bool) -> str:
    """A line of the error file, for a request whose turn never came."""
    code = "batch_expired" if expired else "batch_cancelled"
    return _line(batch_id, number, custom_id, error={"code": code, "message": _WHY[code]})


def _response(status: int, request_id: str, body: Any) -> dict[str, Any]:
    return {"status_code": status, "request_id": request_id, "body": body}


def _line(
    batch_id: str,
    number: int,
    custom_id: str | None,
    *,
    response: dict[str, Any] | None = None,
    error: dict[str, Any] | None = None,
) -> str:
    line_id = f"batch_req_{batch_id.removeprefix('batch_')}_{number}"
    whole = {"id": line_id, "custom_id": custom_id, "response": response, "error": error}
    return orjson.dumps(whole).decode()


def _on_one_line(content: bytes) -> bytes:
    """Providers may answer over several lines; within JSON's strings no line ends."""
    return content if b"\n" not in content and b"\r" not in content else orjson.dumps(orjson.loads(content))
