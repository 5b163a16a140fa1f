"""The form of a log's batches."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.cache.log_item import LogItem, decode_items, encode_items, end_item

_items = st.builds(
    LogItem,
    st.sampled_from(["head", "chunk", "whole", "end", "cancel"]),
    st.integers(min_value=0, max_value=2**32 - 1),
    st.binary(max_size=200),
)


@given(st.lists(_items, max_size=10))
def test_a_batch_comes_back_as_it_was(items: list[LogItem]) -> None:
    assert decode_items(encode_items(items)) == tuple(items)


@given(st.lists(_items, min_size=1, max_size=3), st.data())
def test_a_batch_cut_short_never_passes_for_whole(items: list[LogItem], data: st.DataObject) -> None:
    whole = encode_items(items)
    cut = data.draw(st.integers(min_value=0, max_value=len(whole) - 1))
    try:
        assert decode_items(whole[:cut]) == tuple(items[: len(decode_items(whole[:cut]))])
    except ValueError:
        return
    assert len(decode_items(whole[:cut])) < len(items)


def test_an_unknown_kind_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="not a log item"):
        decode_items(b"\x09" + bytes(8))


def test_the_end_says_how_it_ended() -> None:
    end = end_item(7, "failed", "upstream gone")
    assert (end.kind, end.index) == ("end", 7)
    assert orjson.loads(end.data) == {"outcome": "failed", "error": "upstream gone"}
