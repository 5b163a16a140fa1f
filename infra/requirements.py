"""Exports the layers' requirements from the lock: pinned, hashed, and for Linux alone.

    python infra/requirements.py [--check]

`shared/requirements.txt` holds what every function needs, `shared/requirements-documents.txt` what the
dependency group `documents` adds to it, and `shared/requirements-rendering.txt` what the image of the
rendering function adds to both. `--check` writes nothing and fails when a file is stale.
"""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT / "shared" / "requirements.txt"
DOCUMENTS = ROOT / "shared" / "requirements-documents.txt"
RENDERING = ROOT / "shared" / "requirements-rendering.txt"

HEADER = "# Exported from uv.lock by infra/requirements.py; do not edit.\n"

LINUX = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "sys_platform": "linux",
}

# The oldest Python that tests the layers, and the one that runs them in Lambda.
PYTHONS = ("3.11.0", "3.13.0")


@dataclass(frozen=True)
class Pin:
    """One locked package and the hashes of its files."""

    requirement: str
    hashes: tuple[str, ...]

    def __str__(self) -> str:
        return " \\\n    ".join([self.requirement, *self.hashes]) + "\n"


def parse(exported: str) -> dict[str, list[Pin]]:
    """Pins by package name, of `uv export`'s output, without those that no runtime needs.

    A package that is locked in two versions, for older and newer Pythons, has two pins.
    """
    pins: dict[str, list[Pin]] = {}
    for line in exported.replace("\\\n", " ").splitlines():
        if not line or line.lstrip().startswith("#"):
            continue
        specification, *hashes = line.split(" --hash=")
        requirement = Requirement(specification)
        if _needed(requirement):
            pin = Pin(specification.strip(), tuple(f"--hash={value.strip()}" for value in hashes))
            pins.setdefault(requirement.name, []).append(pin)
    return pins


def _needed(requirement: Requirement) -> bool:
    return requirement.marker is None or any(
        requirement.marker.evaluate(
            {**LINUX, "python_full_version": python, "python_version": python.rpartition(".")[0]}
        )
        for python in PYTHONS
    )


def export(*selection: str) -> dict[str, list[Pin]]:
    """The locked packages of one selection."""
    uv = shutil.which("uv", path=Path(sys.executable).parent) or "uv"
    arguments = [uv, "export", "--quiet", "--frozen", "--no-emit-project", *selection]
    exported = subprocess.run(arguments, cwd=ROOT, check=True, capture_output=True, text=True)  # noqa: S603
    return parse(exported.stdout)


def layers() -> dict[Path, str]:
    """The content that each file should have. No package is in two."""
    shared = export("--no-default-groups")
    documents = _besides(shared, export("--only-group", "documents"))
    rendering = _besides(shared | documents, export("--only-group", "rendering"))
    return {
        path: HEADER + "".join(str(pin) for name in sorted(pins) for pin in pins[name])
        for path, pins in ((SHARED, shared), (DOCUMENTS, documents), (RENDERING, rendering))
    }


def _besides(there: dict[str, list[Pin]], pins: dict[str, list[Pin]]) -> dict[str, list[Pin]]:
    return {name: pin for name, pin in pins.items() if name not in there}


def stale() -> list[Path]:
    """Files that differ from the lock."""
    return [path for path, content in layers().items() if not path.exists() or path.read_text() != content]


def main() -> int:
    """Write the files, or with `--check` say which are stale."""
    if "--check" in sys.argv[1:]:
        for path in (found := stale()):
            sys.stderr.write(f"{path.relative_to(ROOT)} is stale: run `python infra/requirements.py`.\n")
        return 1 if found else 0
    for path, content in layers().items():
        path.write_text(content)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
