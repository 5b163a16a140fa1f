"""Exports the layers' requirements from the lock: pinned, hashed, and for the runtime alone.

    python infra/requirements.py [--check]

`shared/requirements.txt` holds what every function needs, `shared/requirements-documents.txt` what the
dependency group `documents` adds to it. Markers are resolved here, for Python 3.13 on Linux, because pip
would resolve them for the Python that runs it. `--check` writes nothing and fails when a file is stale.
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

HEADER = "# Exported from uv.lock by infra/requirements.py; do not edit.\n"

RUNTIME = {
    "implementation_name": "cpython",
    "implementation_version": "3.13.0",
    "os_name": "posix",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "python_full_version": "3.13.0",
    "python_version": "3.13",
    "sys_platform": "linux",
}


@dataclass(frozen=True)
class Pin:
    """One locked package and the hashes of its files."""

    requirement: str
    hashes: tuple[str, ...]

    def __str__(self) -> str:
        return " \\\n    ".join([self.requirement, *self.hashes]) + "\n"


def parse(exported: str) -> dict[str, Pin]:
    """Pins by package name, of `uv export`'s output, without those that the runtime does not need."""
    pins: dict[str, Pin] = {}
    for line in exported.replace("\\\n", " ").splitlines():
        if not line or line.lstrip().startswith("#"):
            continue
        specification, *hashes = line.split(" --hash=")
        requirement = Requirement(specification)
        if requirement.marker is None or requirement.marker.evaluate(RUNTIME):
            pins[requirement.name] = Pin(
                f"{requirement.name}{requirement.specifier}",
                tuple(f"--hash={value.strip()}" for value in hashes),
            )
    return pins


def export(*selection: str) -> dict[str, Pin]:
    """The locked packages of one selection."""
    uv = shutil.which("uv", path=Path(sys.executable).parent) or "uv"
    arguments = [uv, "export", "--quiet", "--frozen", "--no-emit-project", *selection]
    exported = subprocess.run(arguments, cwd=ROOT, check=True, capture_output=True, text=True)  # noqa: S603
    return parse(exported.stdout)


def layers() -> dict[Path, str]:
    """The content that each file should have. No package is in both."""
    shared = export("--no-default-groups")
    documents = {name: pin for name, pin in export("--only-group", "documents").items() if name not in shared}
    return {
        path: HEADER + "".join(str(pins[name]) for name in sorted(pins))
        for path, pins in ((SHARED, shared), (DOCUMENTS, documents))
    }


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
