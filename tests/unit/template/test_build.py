"""What `sam build` left in .aws-sam, if it was run: it fits Lambda with room to spare."""

from pathlib import Path

import pytest

from tests.unit.template.template import ROOT, Function, functions

BUILD = ROOT / ".aws-sam" / "build"

# Lambda takes 250 MB, unzipped, of function and layers together.
BUDGET = 200_000_000

pytestmark = pytest.mark.skipif(not (BUILD / "template.yaml").exists(), reason="`sam build` was not run")


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("function", functions(), ids=lambda function: function.package)
def test_a_function_with_its_layers_fits(function: Function) -> None:
    parts = [function.logical_id, *function.layers]
    assert sum(size(BUILD / part) for part in parts) < BUDGET


def test_layers_hold_one_architecture_and_no_tools() -> None:
    machines = {path.name.split(".")[1] for path in BUILD.rglob("*.cpython-*.so")}
    assert len(machines) == 1
    assert not any(path.name == "bin" for path in BUILD.glob("*Layer/python/*"))
    assert (BUILD / "SharedLayer/python/shared/settings.py").exists()
