"""The events that AWS sends to functions, made from what happens on one machine. Pure."""

import base64
import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

from local.components.cloud import REGION
from local.lambda_function import ACCOUNT, Event

_STAGE = "prod"

# `BinaryMediaTypes` of the REST API in `template.yaml`: bodies of these types reach the function as base64.
_BINARY_TYPES = ("multipart/form-data", "application/binary", "application/octet-stream")


@dataclass(frozen=True, kw_only=True)
class HttpRequest:
    """A request as the gateway received it. Header names are in lower case; `query` is still encoded."""

    method: str
    path: str
    query: str
    headers: Sequence[tuple[str, str]]
    body: bytes
    client: str


@dataclass(frozen=True, kw_only=True)
class HttpResponse:
    """A response to send."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes


def rest_event(request: HttpRequest, now: datetime) -> Event:
    """The event of a REST API with proxy integration.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
    """
    headers = _grouped(request.headers)
    query = parse_qs(request.query, keep_blank_values=True)
    body, encoded = _body(request.body, headers.get("content-type", [""])[-1])
    return {
        "resource": "/{proxy+}",
        "path": request.path,
        "httpMethod": request.method,
        "headers": {name: values[-1] for name, values in headers.items()} or None,
        "multiValueHeaders": headers or None,
        "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
        "multiValueQueryStringParameters": query or None,
        "pathParameters": {"proxy": request.path.removeprefix("/")},
        "stageVariables": None,
        "requestContext": _request_context(request, headers, now),
        "body": body,
        "isBase64Encoded": encoded,
    }


def _body(body: bytes, content_type: str) -> tuple[str | None, bool]:
    """The body as the event carries it, and whether that is base64."""
    if not body:
        return None, False
    if content_type.startswith(_BINARY_TYPES):
        return base64.b64encode(body).decode(), True
    return body.decode(errors="replace"), False


def _request_context(request: HttpRequest, headers: Mapping[str, list[str]], now: datetime) -> dict[str, Any]:
    agent = headers.get("user-agent", [None])[-1]
    return {
        "accountId": ACCOUNT,
        "apiId": "local",
        "stage": _STAGE,
        "protocol": "HTTP/1.1",
        "httpMethod": request.method,
        "path": f"/{_STAGE}{request.path}",
        "resourcePath": "/{proxy+}",
        "requestId": str(uuid.uuid4()),
        "requestTimeEpoch": int(now.timestamp() * 1000),
        "domainName": headers.get("host", ["localhost"])[-1],
        "identity": {"sourceIp": request.client, "userAgent": agent},
    }


def http_response(answer: Mapping[str, Any]) -> HttpResponse:
    """The response that a proxy integration makes of what a function returned."""
    single = [(name, str(value)) for name, value in (answer.get("headers") or {}).items()]
    multiple = {
        name: [str(value) for value in values]
        for name, values in (answer.get("multiValueHeaders") or {}).items()
    }
    taken = {name.lower() for name in multiple}
    headers = [(name, value) for name, value in single if name.lower() not in taken]
    headers += [(name, value) for name, values in multiple.items() for value in values]
    text = answer.get("body") or ""
    body = base64.b64decode(text) if answer.get("isBase64Encoded") else text.encode()
    return HttpResponse(status=int(answer["statusCode"]), headers=headers, body=body)


def sqs_event(messages: Sequence[Mapping[str, Any]], queue_arn: str) -> Event:
    """The event of an SQS event source mapping, from messages as `ReceiveMessage` returns them.

    https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
    """
    return {"Records": [_sqs_record(message, queue_arn) for message in messages]}


def _sqs_record(message: Mapping[str, Any], queue_arn: str) -> dict[str, Any]:
    body: str = message["Body"]
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": body,
        "attributes": message.get("Attributes", {}),
        "messageAttributes": {
            name: _attribute(value) for name, value in message.get("MessageAttributes", {}).items()
        },
        "md5OfBody": hashlib.md5(body.encode(), usedforsecurity=False).hexdigest(),
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": REGION,
    }


def _attribute(value: Mapping[str, Any]) -> dict[str, Any]:
    """Lambda's spelling of a message attribute: its keys begin in lower case."""
    return {f"{name[0].lower()}{name[1:]}": part for name, part in value.items()}


def failed_messages(answer: Mapping[str, Any] | None, messages: Sequence[Mapping[str, Any]]) -> set[str]:
    """Ids of the messages that go back to the queue.

    As Lambda reads a partial batch response: an id that is missing or unknown means the whole batch.
    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
    """
    known = {str(message["MessageId"]) for message in messages}
    failures = (answer or {}).get("batchItemFailures") or []
    ids = {str(failure.get("itemIdentifier") or "") for failure in failures}
    return ids if ids <= known else known


def schedule_event(name: str, now: datetime) -> Event:
    """The event of an EventBridge Scheduler schedule without input of its own."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.scheduler",
        "account": ACCOUNT,
        "time": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": REGION,
        "resources": [f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/{name}"],
        "detail": "{}",
    }


def _grouped(pairs: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for name, value in pairs:
        grouped.setdefault(name, []).append(value)
    return grouped
