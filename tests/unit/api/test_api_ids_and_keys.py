"""Identifiers sort by age, and object keys stay inside their tenant."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.files.ids import is_id, new_id
from shared.files.keys import object_key, text_key

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def test_ids_sort_in_the_order_in_which_they_were_made() -> None:
    moments = [NOW + timedelta(milliseconds=step) for step in range(200)]
    ids = [new_id("file-", moment) for moment in moments]
    shuffled = random.sample(ids, k=len(ids))
    assert sorted(shuffled) == ids


def test_ids_of_one_moment_differ() -> None:
    assert len({new_id("vs_", NOW) for _ in range(1000)}) == 1000


def test_ids_have_one_length_and_fit_their_own_check() -> None:
    made = new_id("vs_", NOW)
    assert len(made) == len("vs_") + 26
    assert is_id("vs_", made)
    assert not is_id("file-", made)


@pytest.mark.parametrize(
    "value", ["", "file-", "vs_1", "file-a/b", "file-a\n", "xfile-a", f"file-{'a' * 65}"]
)
def test_what_is_no_id_is_told_apart(value: str) -> None:
    assert not is_id("file-", value)


@pytest.mark.parametrize(
    ("filename", "stored"),
    [
        ("report 2026.pdf", "report_2026.pdf"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("年报.pdf", "__.pdf"),
        (".env", "env"),
        ("...", "file"),
    ],
)
def test_the_stored_name_is_plain(filename: str, stored: str) -> None:
    assert object_key("t1", "file-1", filename) == f"t1/files/file-1/{stored}"


def test_a_long_name_keeps_its_suffix() -> None:
    key = object_key("t1", "file-1", f"{'a' * 300}.pdf")
    assert key.endswith("a.pdf")
    assert len(key) < 130


@given(st.text(min_size=1, max_size=300))
def test_no_name_leaves_the_folder_of_its_file(filename: str) -> None:
    key = object_key("t1", "file-1", filename)
    tenant, kind, file_id, name = key.split("/")
    assert (tenant, kind, file_id) == ("t1", "files", "file-1")
    assert name
    assert name.isascii()
    assert len(name) <= 100


def test_the_text_lies_beside_the_files() -> None:
    assert text_key("t1", "file-1") == "t1/texts/file-1.md"
