"""Other gateways from their packages: LiteLLM's proxy (PyPI) and Portkey's gateway (npm), in `.tools/bench`.

Both run with less than Weir does: one fixed key or none, no limits, no accounting. LiteLLM's cache is the one
in its own memory. Portkey's published build has its cache compiled out.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.load import Target
from local.process import ROOT, LocalError, Program, free_port

_TOOLS = ROOT / ".tools" / "bench"

_LITELLM = "litellm[proxy]==1.109.1"

# Its exact pins of these two are not on every mirror, and neither bears on what is measured.
_LITELLM_OVERRIDES = "certifi>=2026\nlitellm-proxy-extras>=0.4\n"

# With `@hono/node-server` from 1.14 on, this version answers every stream with 500 (`TypeError: immutable`).
_PORTKEY = {
    "private": True,
    "dependencies": {"@portkey-ai/gateway": "1.15.2"},
    "overrides": {"hono": "4.13.19", "@hono/node-server": "1.13.0"},
}

# Portkey listens on every address of the machine and has no setting for it.
_LOOPBACK = """data:text/javascript,
import {Server} from "node:net";
const listen = Server.prototype.listen;
Server.prototype.listen = function (port, host, ...rest) {
    return listen.call(this, port, "127.0.0.1", ...rest);
};"""

# Peers have nothing to tell or to ask the world: what they try ends at a port that nobody listens on.
_ALONE = {
    "HTTP_PROXY": "http://127.0.0.1:9",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "NO_PROXY": "127.0.0.1,localhost",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "NODE_ENV": "production",
}

_LITELLM_KEY = "sk-bench"


async def litellm(upstream: str, directory: Path) -> tuple[Program, Target]:
    """LiteLLM's proxy in front of `upstream`, with one worker.

    Raises:
        LocalError: It cannot be installed.
    """
    python = await asyncio.to_thread(install_litellm)
    port, config = free_port(), directory / "litellm.json"
    # JSON is YAML.
    config.write_text(json.dumps(_litellm_config(upstream)))
    words = ["--host", "127.0.0.1", "--port", str(port), "--telemetry", "False"]
    argv = [str(python.with_name("litellm")), "--config", str(config), *words]
    headers = {"Authorization": f"Bearer {_LITELLM_KEY}", "Content-Type": "application/json"}
    target = Target(name="LiteLLM", url=f"http://127.0.0.1:{port}/v1", headers=headers)
    return Program(name="litellm", argv=argv, environment=_ALONE, directory=directory), target


async def portkey(upstream: str, directory: Path) -> tuple[Program, Target]:
    """Portkey's gateway in front of `upstream`.

    Raises:
        LocalError: Node.js is missing, or it cannot be installed.
    """
    home = _TOOLS / "portkey"
    await asyncio.to_thread(_install_portkey, home)
    port = free_port()
    entry = home / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    argv = ["node", "--import", _LOOPBACK, str(entry), f"--port={port}", "--headless"]
    headers = {
        "Authorization": "Bearer none",
        "Content-Type": "application/json",
        "x-portkey-provider": "openai",
        "x-portkey-custom-host": upstream,
    }
    target = Target(name="Portkey", url=f"http://127.0.0.1:{port}/v1", headers=headers)
    return Program(name="portkey", argv=argv, environment=_ALONE, directory=directory), target


def _litellm_config(upstream: str) -> Mapping[str, object]:
    provider = {"model": "openai/bench", "api_base": upstream, "api_key": "none"}
    return {
        "model_list": [{"model_name": "bench", "litellm_params": provider}],
        "litellm_settings": {"cache": True, "cache_params": {"type": "local"}},
        "general_settings": {"master_key": _LITELLM_KEY},
    }


def install_litellm() -> Path:
    """The Python of an environment with LiteLLM's proxy.

    Raises:
        LocalError: It cannot be installed.
    """
    home = _TOOLS / "litellm"
    python = home / "bin" / "python"
    uv = Path(sys.executable).with_name("uv")
    if not uv.exists():
        raise LocalError("uv is missing, which installs LiteLLM: run `make install`.")
    mark = home / "installed.txt"
    wanted = f"{_LITELLM}\n{_LITELLM_OVERRIDES}"
    if mark.exists() and mark.read_text() == wanted:
        return python
    _run(_TOOLS, str(uv), "venv", "--quiet", "--clear", f"--python={sys.executable}", str(home))
    overrides = home / "overrides.txt"
    overrides.write_text(_LITELLM_OVERRIDES)
    _run(
        _TOOLS,
        str(uv),
        "pip",
        "install",
        "--quiet",
        "--python",
        str(python),
        "--overrides",
        str(overrides),
        _LITELLM,
    )
    mark.write_text(wanted)
    return python


def _install_portkey(home: Path) -> None:
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise LocalError("Node.js is missing, with which Portkey's gateway runs.")
    wanted, mark = json.dumps(_PORTKEY), home / "installed.json"
    if mark.exists() and mark.read_text() == wanted:
        return
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    (home / "package.json").write_text(wanted)
    _run(home, npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--silent")
    mark.write_text(wanted)


def _run(directory: Path, *argv: str) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    result = subprocess.run(argv, cwd=directory, env=os.environ, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise LocalError(f"`{' '.join(argv)}` failed: {_end(result.stderr.splitlines())}")


def _end(lines: Sequence[str]) -> str:
    return "\n".join(lines[-5:])
