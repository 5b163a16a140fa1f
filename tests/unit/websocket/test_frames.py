"""What clients may send, and what they are told when it is something else."""

import pytest

from shared.errors import InvalidRequestError
from shared.websocket.frames import CancelFrame, ChatFrame, PingFrame, ResumeFrame, parse_frame


def test_each_kind_is_read() -> None:
    assert parse_frame('{"type": "chat", "id": "a", "body": {"model": "m"}}') == ChatFrame(
        type="chat", id="a", body={"model": "m"}
    )
    assert parse_frame('{"type": "cancel", "id": "a"}') == CancelFrame(type="cancel", id="a")
    assert parse_frame('{"type": "resume", "id": "b", "answer_id": "req_1"}') == ResumeFrame(
        type="resume", id="b", answer_id="req_1", after=0
    )
    assert parse_frame('{"type": "ping"}') == PingFrame(type="ping")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "JSON"),
        ("[]", "object"),
        ('{"type": "dance"}', "type"),
        ('{"type": "chat", "body": {}}', "chat.id"),
        ('{"type": "chat", "id": "a b", "body": {}}', "chat.id"),
        ('{"type": "chat", "id": "a", "body": []}', "chat.body"),
        ('{"type": "resume", "id": "a", "answer_id": "r", "after": -1}', "resume.after"),
        ('{"type": "ping", "id": "a"}', "ping.id"),
    ],
)
def test_what_cannot_be_read_is_named(text: str, named: str) -> None:
    with pytest.raises(InvalidRequestError, match=named):
        parse_frame(text)
