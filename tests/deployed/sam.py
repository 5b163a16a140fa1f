"""`sam build` and `sam deploy`, as a user runs them, against the emulator."""

import asyncio
import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path

from local.components.cloud import Cloud
from local.process import ROOT

# Of this machine, as Lambda calls it.
ARCHITECTURE = "arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64"

_LAST_LINES, _CONTEXT = 40, 8


async def sam_build(target: Path) -> None:
    """Build the template for this machine and for the Python that runs the emulator, which is this one."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    await _sam(
        {"PYTHON_VERSION": python},
        *("build", "--template-file", ROOT / "template.yaml", "--build-dir", target),
        *("--parameter-overrides", f"Architecture={ARCHITECTURE}"),
    )


async def sam_deploy(cloud: Cloud, build: Path, stack: str, parameters: Mapping[str, str]) -> None:
    """Deploy, or update, what was built. The settings in samconfig.toml are the user's, and not used."""
    await _sam(
        cloud.environment,
        *("deploy", "--template-file", build / "template.yaml", "--stack-name", stack),
        *("--resolve-s3", "--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset"),
        *("--no-fail-on-empty-changeset", "--no-progressbar", "--parameter-overrides"),
        *(f"{name}={value}" for name, value in {"Architecture": ARCHITECTURE, **parameters}.items()),
    )


async def _sam(variables: Mapping[str, str], *arguments: str | Path) -> None:
    beside = Path(sys.executable).parent
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    path = f"{beside}{os.pathsep}{os.environ['PATH']}"
    process = await asyncio.create_subprocess_exec(
        beside / "sam",
        *arguments,
        env={**inherited, "PATH": path, "SAM_CLI_TELEMETRY": "0", **variables},
        cwd=ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, _report(str(arguments[0]), output.decode(errors="replace").splitlines())


def _report(command: str, lines: list[str]) -> str:
    """What failed, with what follows each: CloudFormation goes on with pages of what it takes back."""
    told = [line for i, line in enumerate(lines) if "FAILED" in "".join(lines[max(0, i - _CONTEXT) : i + 1])]
    return "\n".join([f"sam {command} failed:", *(told or lines[-_LAST_LINES:])])
