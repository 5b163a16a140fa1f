"""Every handler imports in a fresh process, with the template's variables and its layers' packages alone."""

import json
import os
import subprocess
import sys

import pytest

from tests.unit.template.runtime import missing_in, pins
from tests.unit.template.template import ROOT, Function, environment, functions

# Refuses what is not in the layers, as Lambda would, then imports the handler.
PROGRAM = """
import importlib, json, sys

class Missing:
    names = set(json.loads(sys.argv[2]))

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in self.names:
            raise ModuleNotFoundError(f"{name} is in none of the function's layers", name=name)

sys.meta_path.insert(0, Missing())
importlib.import_module(sys.argv[1])
"""


@pytest.mark.parametrize("function", functions(), ids=lambda function: function.package)
def test_a_handler_imports_with_what_its_function_has(function: Function) -> None:
    missing = json.dumps(sorted(missing_in(function)))
    process = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, f"{function.package}.handler", missing],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{ROOT / 'functions'}{os.pathsep}{ROOT}",
            "AWS_REGION": "eu-central-1",
            **environment(function),
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr


def test_the_layers_share_no_package() -> None:
    assert pins("SharedLayer") & pins("DocumentsLayer") == set()
    assert {"pydantic", "boto3", "uvicorn"} <= pins("SharedLayer")
    assert {"pypdfium2", "lxml"} <= pins("DocumentsLayer")


def test_the_requirements_are_those_of_the_lock() -> None:
    process = subprocess.run(
        [sys.executable, "infra/requirements.py", "--check"], cwd=ROOT, capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr
