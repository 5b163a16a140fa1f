"""Cutting an input file into lines, and checking them."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.batch.lines import BadLine, LineTooLongError, RawLine, Request, lines_of, raw_lines, read_request

CHAT = "/v1/chat/completions"
BODY = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


async def pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def cut(data: bytes, size: int = 7, limit: int = 1000) -> list[RawLine]:
    async def read() -> list[RawLine]:
        return [line async for line in raw_lines(pieces(data, size), limit=limit)]

    return asyncio.run(read())


@example([b"\xef\xbb\xbf", b"\xef\xbb\xbf"], 1, True)
@example([b"\xef\xbb\xbf{}"], 2, False)
@given(
    st.lists(st.binary(max_size=12).map(lambda b: b.replace(b"\n", b"-"))), st.integers(1, 9), st.booleans()
)
def test_lines_are_the_same_however_the_bytes_come(
    lines: list[bytes], size: int, ends_with_line_break: bool
) -> None:
    data = b"\n".join(lines) + (b"\n" if ends_with_line_break else b"")
    found = cut(data, size)
    # A mark at the very beginning is of the file, not of its first line.
    unmarked = data.removeprefix(b"\xef\xbb\xbf")
    stripped = {number: line.strip() for number, line in enumerate(unmarked.split(b"\n"), 1)}
    assert {line.number: line.data for line in found} == {n: line for n, line in stripped.items() if line}
    # A range of the file gives the same lines again, under the same numbers.
    for line in found:
        assert dict(lines_of(data[line.start : line.end], line.number)) == {line.number: line.data}


def test_a_byte_order_mark_and_carriage_returns_are_no_part_of_a_line() -> None:
    assert [line.data for line in cut(b"\xef\xbb\xbf{}\r\n{}\r\n")] == [b"{}", b"{}"]


def test_a_line_over_the_limit_is_named() -> None:
    with pytest.raises(LineTooLongError) as raised:
        cut(b"short\n" + b"x" * 50, limit=20)
    assert raised.value.number == 2


def envelope(**change: Any) -> bytes:
    whole = {"custom_id": "a", "method": "POST", "url": CHAT, "body": BODY, **change}
    return json.dumps({name: value for name, value in whole.items() if value is not ...}).encode()


def test_a_good_line_is_a_request() -> None:
    found = read_request(envelope(), 1, CHAT)
    assert isinstance(found, Request)
    assert (found.custom_id, found.body) == ("a", BODY)


@pytest.mark.parametrize(
    ("line", "code", "param"),
    [
        (b"[]", "invalid_json_line", None),
        (b"{", "invalid_json_line", None),
        (b'{"custom_id": "\\ud800"}', "invalid_json_line", None),
        (envelope(custom_id=...), "invalid_request", "custom_id"),
        (envelope(custom_id=""), "invalid_request", "custom_id"),
        (envelope(custom_id="a\x00b"), "invalid_request", "custom_id"),
        (envelope(custom_id=1), "invalid_request", "custom_id"),
        (envelope(method="GET"), "invalid_request", "method"),
        (envelope(url="/v1/embeddings"), "mismatched_url", "url"),
        (envelope(body=[]), "invalid_request", "body"),
        (envelope(body={"model": "m"}), "invalid_request", "body.messages"),
        (envelope(body={**BODY, "stream": True}), "invalid_request", "body.stream"),
        (envelope(extra=1), "invalid_request", "extra"),
    ],
)
def test_a_line_that_makes_no_sense_says_why(line: bytes, code: str, param: str | None) -> None:
    found = read_request(line, 7, CHAT)
    assert isinstance(found, BadLine)
    assert (found.problem.code, found.problem.param, found.problem.line) == (code, param, 7)


@given(st.binary() | st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("body"), inner),
).map(lambda value: json.dumps({"custom_id": "a", "body": value}).encode()))  # fmt: skip
def test_no_line_is_more_than_bad(line: bytes) -> None:
    found = read_request(line, 1, CHAT)
    assert isinstance(found, BadLine)
    assert "\x00" not in found.problem.model_dump_json().replace("\\u0000", "\x00")
