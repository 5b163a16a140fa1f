"""What the layers leave out of their packages is not missed."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from infra.layers.strip import ELF64_LITTLE_ENDIAN, main, stripped


def copied(package: str, target: Path) -> Path:
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(shutil.copytree(Path(spec.origin).parent, target / package))


def run(program: str, first: Path) -> str:
    process = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(first)},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    return process.stdout.strip()


@pytest.mark.skipif(sys.platform != "linux", reason="wheels of this machine are no ELF files")
def test_a_stripped_module_is_smaller_and_works(tmp_path: Path) -> None:
    package = copied("uvloop", tmp_path)
    (module,) = package.glob("loop.*.so")
    before = module.read_bytes()
    assert before.startswith(ELF64_LITTLE_ENDIAN)
    main(str(tmp_path))
    assert module.stat().st_size < len(before) / 2
    assert stripped(module.read_bytes()) == module.read_bytes()
    program = "import asyncio, uvloop; print(uvloop.run(asyncio.sleep(0, 'works')), uvloop.__file__)"
    assert run(program, tmp_path) == f"works {package / '__init__.py'}"


def test_the_language_of_a_url_is_known_without_locale_data(tmp_path: Path) -> None:
    """The makefile empties babel's locales but two: courlan, for trafilatura, asks whether one exists."""
    package = copied("babel", tmp_path)
    for locale in (package / "locale-data").glob("*.dat"):
        if locale.name not in ("root.dat", "en.dat"):
            locale.write_bytes(b"")
    program = """
import babel
from courlan.filters import lang_filter

paths = ("/de/page", "/en-gb/page", "/zh_Hans/x", "/xx/y", "/page")
asked = [(f"https://a.org{path}", language) for path in paths for language in ("de", "en", "zh")]
print(babel.__file__, [lang_filter(*question, strict) for question in asked for strict in (True, False)])
"""
    pruned, whole = run(program, tmp_path), run(program, tmp_path / "nothing")
    assert pruned.split(" ", 1)[0] == str(package / "__init__.py")
    assert pruned.split(" ", 1)[1] == whole.split(" ", 1)[1]
    assert "False" in whole
