from string import ascii_lowercase, digits

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanup.orphans import owning_file
from cleanup.sweep import in_turn
from shared.files.keys import object_key, text_key

ids = st.text(ascii_lowercase + digits, min_size=1, max_size=30)


@given(ids, ids, st.text(max_size=200))
def test_every_key_of_a_file_names_the_file(tenant_id: str, name: str, filename: str) -> None:
    file_id = f"file-{name}"
    assert owning_file(tenant_id, object_key(tenant_id, file_id, filename)) == file_id
    assert owning_file(tenant_id, text_key(tenant_id, file_id)) == file_id


@pytest.mark.parametrize(
    "key",
    [
        "acme/batches/batch_1/output.jsonl",
        "acme/files/file-1",
        "acme/files/file-1/a/b",
        "acme/texts/file-1.txt",
        "acme/texts/a/file-1.md",
        "other/files/file-1/a.txt",
        "acme/files//a.txt",
    ],
)
def test_a_key_of_another_kind_names_none(key: str) -> None:
    assert owning_file("acme", key) is None


@given(st.lists(ids, unique=True), st.uuids())
def test_each_run_takes_every_tenant_once(tenants: list[str], run_id: object) -> None:
    assert sorted(in_turn(tenants, str(run_id))) == sorted(tenants)


def test_runs_begin_with_different_tenants() -> None:
    tenants = [f"tenant_{number}" for number in range(20)]
    assert len({in_turn(tenants, f"run {number}")[-1] for number in range(50)}) > 10
