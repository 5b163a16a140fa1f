"""Asks whether locked packages have known holes: `python infra/security/audit.py REQUIREMENTS...`.

Run by the Python that has pip-audit. Where the data about holes cannot be reached, it says so and passes: a
machine without it is no reason to build nothing.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def audit(requirements: str) -> list[dict[str, Any]] | str:
    """What pip-audit found of every package that it knows, or why it could not ask."""
    command = [sys.executable, "-m", "pip_audit", "--no-deps", "--disable-pip", "--format=json"]
    result = subprocess.run(  # noqa: S603
        [*command, f"--requirement={requirements}"], capture_output=True, text=True, check=False
    )
    try:
        found: list[dict[str, Any]] = json.loads(result.stdout)["dependencies"]
    except ValueError:
        return (result.stderr.strip() or "no answer").splitlines()[-1]
    known = [package for package in found if "vulns" in package]
    return known or str(found[0].get("skip_reason"))


def main(locks: list[str]) -> int:
    """Report every hole, with the versions that close it."""
    holes = 0
    for lock in locks:
        packages = audit(lock)
        if isinstance(packages, str):
            sys.stdout.write(f"{Path(lock).name}: NOT AUDITED, no data about vulnerabilities: {packages}\n")
            continue
        for package in packages:
            for hole in package["vulns"]:
                holes += 1
                closed = ", ".join(hole["fix_versions"]) or "nothing yet"
                sys.stdout.write(
                    f"{package['name']} {package['version']}: {hole['id']}, closed by {closed}\n"
                )
        sys.stdout.write(f"{Path(lock).name}: {len(packages)} packages audited\n")
    return 1 if holes else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
