"""Whole answers, and what their headers say."""

import orjson
import pytest

from shared.providers.answers import read_answer
from shared.providers.endpoint import _retry_after
from shared.providers.failures import UpstreamFailure, kind_of_status

CHAT = "/chat/completions"
JSON = {"response_format": {"type": "json_object"}}


def completion(content: object = "A dam.", finish: str = "stop", **message: object) -> dict:
    return {"choices": [{"message": {"content": content, **message}, "finish_reason": finish}]}


def test_a_completion_is_decoded() -> None:
    assert read_answer(CHAT, orjson.dumps(completion()), "p", {}) == completion()
    assert read_answer(CHAT, b"\n\n \n" + orjson.dumps(completion()), "p", {}) == completion()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" \n",
        b"<html>",
        b"null",
        b"[]",
        b"{}",
        b'{"choices": []}',
        b'{"choices": {"message": {}}}',
        b'{"choices": [{"message": "A dam."}]}',
        b'{"error": {"message": "busy"}}',
    ],
)
def test_what_is_none_is_broken(body) -> None:
    with pytest.raises(UpstreamFailure) as failed:
        read_answer(CHAT, body, "p", {})
    assert failed.value.kind == "broken"


def test_an_answer_cut_for_lack_of_resources_is_overload() -> None:
    with pytest.raises(UpstreamFailure) as failed:
        read_answer(CHAT, orjson.dumps(completion("A", "insufficient_system_resource")), "p", {})
    assert failed.value.kind == "overloaded"


@pytest.mark.parametrize("content", ["", " \n", None])
def test_blanks_are_no_json(content) -> None:
    blank = orjson.dumps(completion(content))

    assert read_answer(CHAT, blank, "p", {}) == completion(content)
    with pytest.raises(UpstreamFailure, match="blank"):
        read_answer(CHAT, blank, "p", JSON)


@pytest.mark.parametrize(
    "answer",
    [
        completion("{}"),
        completion("", tool_calls=[{}]),
        completion("", "length"),
        completion("", refusal="No."),
    ],
)
def test_no_blank_is_another_way_to_end(answer) -> None:
    assert read_answer(CHAT, orjson.dumps(answer), "p", JSON) == answer


def test_embeddings_have_data() -> None:
    assert read_answer("/embeddings", b'{"data": []}', "p", {}) == {"data": []}
    with pytest.raises(UpstreamFailure, match="embeddings"):
        read_answer("/embeddings", orjson.dumps(completion()), "p", {})


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "7", "retry-after-ms": "250"}, 0.25),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "Wed, 25 Nov 2026 10:00:30 GMT", "date": "Wed, 25 Nov 2026 10:00:00 GMT"}, 30.0),
        ({"retry-after": "Wed, 25 Nov 2026 09:00:00 GMT", "date": "Wed, 25 Nov 2026 10:00:00 GMT"}, 0.0),
        ({"retry-after": "Wed, 25 Nov 2026 10:00:30 GMT"}, None),
    ],
)
def test_when_to_come_back(headers, seconds) -> None:
    assert _retry_after(headers) == seconds


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "refused"),
        (401, "unauthorized"),
        (402, "unpaid"),
        (403, "unauthorized"),
        (404, "refused"),
        (408, "timeout"),
        (422, "refused"),
        (429, "rate_limited"),
        (500, "overloaded"),
        (503, "overloaded"),
    ],
)
def test_statuses_are_classified(status, kind) -> None:
    assert kind_of_status(status) == kind
