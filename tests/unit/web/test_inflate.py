"""Decompression in bounded steps."""

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.web.inflate import CorruptBodyError, Encoding, Inflater


def inflate(encoding: Encoding, pieces: list[bytes]) -> bytes:
    inflater = Inflater(encoding)
    body = b"".join(part for piece in pieces for part in inflater.feed(piece))
    inflater.finish()
    return body


def raw_deflate(data: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-15)
    return deflater.compress(data) + deflater.flush()


@given(st.binary(max_size=2_000), st.integers(0, 300), st.integers(2, 500))
def test_whatever_was_compressed_comes_back(data: bytes, repeats: int, step: int) -> None:
    body = data * repeats
    for encoding, sent in (
        ("identity", body),
        ("gzip", gzip.compress(body)),
        ("deflate", zlib.compress(body)),
        ("deflate", raw_deflate(body)),
    ):
        pieces = [sent[start : start + step] for start in range(0, len(sent), step)]
        assert inflate(encoding, pieces) == body  # type: ignore[arg-type]


def test_members_of_gzip_follow_each_other() -> None:
    assert inflate("gzip", [gzip.compress(b"one, ") + gzip.compress(b"two")]) == b"one, two"


def test_what_follows_the_end_is_ignored() -> None:
    assert inflate("gzip", [gzip.compress(b"one") + b"\0\0 trailing"]) == b"one"


def test_a_bomb_comes_in_small_steps() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    first = next(iter(Inflater("gzip").feed(bomb)))
    assert len(first) <= 64 * 1024


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.parametrize("sent", [b"not compressed at all", gzip.compress(b"cut short" * 100)[:-12]])
def test_damaged(encoding: Encoding, sent: bytes) -> None:
    with pytest.raises(CorruptBodyError):
        inflate(encoding, [sent])


def test_an_empty_body_is_empty() -> None:
    assert inflate("gzip", []) == b""
