"""The requests that CloudFormation sends to a custom resource, and the answers that it waits for.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/crpg-ref.html
"""

import json
import urllib.request
from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, Field

# Characters. The whole answer may have 4,096 bytes.
_REASON_LIMIT = 1000


class Request(BaseModel):
    """One request of CloudFormation. `response_url` takes the answer, once."""

    kind: Literal["Create", "Update", "Delete"] = Field(alias="RequestType")
    response_url: str = Field(alias="ResponseURL")
    stack_id: str = Field(alias="StackId")
    request_id: str = Field(alias="RequestId")
    logical_id: str = Field(alias="LogicalResourceId")


def succeed(request: Request, physical_id: str, data: Mapping[str, str]) -> None:
    """Tell CloudFormation to go on; the template may read `data`."""
    _answer(request, {"Status": "SUCCESS", "PhysicalResourceId": physical_id, "Data": dict(data)})


def fail(request: Request, physical_id: str, reason: str) -> None:
    """Tell CloudFormation to roll back, and why."""
    _answer(
        request, {"Status": "FAILED", "PhysicalResourceId": physical_id, "Reason": reason[:_REASON_LIMIT]}
    )


def _answer(request: Request, outcome: Mapping[str, object]) -> None:
    identity = {
        "StackId": request.stack_id,
        "RequestId": request.request_id,
        "LogicalResourceId": request.logical_id,
    }
    body = json.dumps({**outcome, **identity}).encode()
    # The URL is signed for a request without a content type.
    put = urllib.request.Request(  # noqa: S310 - CloudFormation's own URL
        request.response_url, data=body, method="PUT", headers={"Content-Type": ""}
    )
    with urllib.request.urlopen(put, timeout=30):  # noqa: S310
        pass
