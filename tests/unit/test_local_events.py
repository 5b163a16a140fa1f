"""Events made on one machine have the shape that AWS documents."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent, EventBridgeEvent, SQSEvent
from hypothesis import given
from hypothesis import strategies as st

from local.events import (
    HttpRequest,
    HttpResponse,
    failed_messages,
    http_response,
    rest_event,
    schedule_event,
    sqs_event,
)

NOW = datetime(2026, 11, 24, 8, 30, tzinfo=UTC)
ARN = "arn:aws:sqs:us-east-1:000000000000:weir-usage"


def _request(**changed: Any) -> HttpRequest:
    plain = {
        "method": "POST",
        "path": "/v1/files",
        "query": "limit=2&after=a%20b&limit=3&empty=",
        "headers": [("host", "127.0.0.1:8000"), ("accept", "a"), ("accept", "b")],
        "body": b"",
        "client": "127.0.0.1",
    }
    return HttpRequest(**{**plain, **changed})


def test_a_request_becomes_a_proxy_event() -> None:
    event = APIGatewayProxyEvent(rest_event(_request(), NOW))
    assert (event.http_method, event.path, event.body) == ("POST", "/v1/files", None)
    assert event.resolved_query_string_parameters == {
        "limit": ["2", "3"],
        "after": ["a b"],
        "empty": [""],
    }
    assert event["queryStringParameters"]["limit"] == "3"
    assert event["multiValueHeaders"]["accept"] == ["a", "b"]
    assert event.request_context.identity.source_ip == "127.0.0.1"
    assert event.request_context.request_time_epoch == 1795509000000


def test_without_query_the_event_says_null() -> None:
    event = rest_event(_request(query=""), NOW)
    assert event["queryStringParameters"] is None
    assert event["multiValueQueryStringParameters"] is None


def test_text_bodies_are_text_and_binary_ones_base64() -> None:
    json_event = rest_event(
        _request(body='{"名": 1}'.encode(), headers=[("content-type", "application/json")]), NOW
    )
    form = [("content-type", "multipart/form-data; boundary=x")]
    form_event = rest_event(_request(body=b"\xff\x00", headers=form), NOW)
    assert (json_event["body"], json_event["isBase64Encoded"]) == ('{"名": 1}', False)
    assert base64.b64decode(form_event["body"]) == b"\xff\x00"
    assert form_event["isBase64Encoded"] is True


def test_many_headers_of_one_name_are_sent_many_times() -> None:
    response = http_response(
        {
            "statusCode": 200,
            "headers": {"Content-Type": "text/plain", "set-cookie": "last"},
            "multiValueHeaders": {"Set-Cookie": ["one", "last"]},
            "body": "héllo",
        }
    )
    assert response == HttpResponse(
        status=200,
        headers=[("Content-Type", "text/plain"), ("Set-Cookie", "one"), ("Set-Cookie", "last")],
        body="héllo".encode(),
    )


@given(st.binary())
def test_a_binary_answer_comes_back_whole(data: bytes) -> None:
    answer = {"statusCode": 200, "body": base64.b64encode(data).decode(), "isBase64Encoded": True}
    assert http_response(answer).body == data


def test_messages_become_an_sqs_event() -> None:
    message = {
        "MessageId": "1",
        "ReceiptHandle": "handle",
        "Body": json.dumps({"n": 1}),
        "Attributes": {"ApproximateReceiveCount": "2", "SentTimestamp": "1795509000000"},
        "MessageAttributes": {"trace": {"StringValue": "x", "DataType": "String"}},
    }
    (record,) = SQSEvent(sqs_event([message], ARN)).records
    assert (record.message_id, record.receipt_handle, record.json_body) == ("1", "handle", {"n": 1})
    assert record.attributes.approximate_receive_count == "2"
    assert record.queue_url.endswith("/000000000000/weir-usage")
    assert record.message_attributes["trace"].string_value == "x"


@pytest.mark.parametrize(
    ("answer", "failed"),
    [
        (None, set()),
        ({"batchItemFailures": []}, set()),
        ({"batchItemFailures": [{"itemIdentifier": "1"}]}, {"1"}),
        ({"batchItemFailures": [{"itemIdentifier": "unknown"}]}, {"1", "2"}),
        ({"batchItemFailures": [{"itemIdentifier": ""}]}, {"1", "2"}),
        ({"batchItemFailures": [{}]}, {"1", "2"}),
    ],
)
def test_failures_are_read_as_lambda_reads_them(answer: dict[str, Any] | None, failed: set[str]) -> None:
    assert failed_messages(answer, [{"MessageId": "1"}, {"MessageId": "2"}]) == failed


def test_a_schedule_event_names_its_schedule() -> None:
    event = EventBridgeEvent(schedule_event("cleanup", NOW))
    assert event.source == "aws.scheduler"
    assert event.time == "2026-11-24T08:30:00Z"
    assert event.resources == ["arn:aws:scheduler:us-east-1:000000000000:schedule/default/cleanup"]
