"""Cold import of the chat handler beside LiteLLM's proxy: seconds and peak memory, each in fresh processes.

LiteLLM is the one that `bench/peers.py` installs.
"""

import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.peers import install_litellm

ROOT = Path(__file__).resolve().parent.parent
RUNS = 5

_PROBE = """
import importlib, json, resource, sys, time
started = time.perf_counter()
importlib.import_module(sys.argv[1])
seconds = time.perf_counter() - started
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([seconds, peak, len(sys.modules)]))
"""

# What `template.yaml` gives the function; no value is used before the first request.
_ENVIRONMENT = {
    "PYTHONPATH": f"{ROOT}:{ROOT / 'functions'}",
    "WEIR_DATABASE_SECRET": "env:NONE",
    "WEIR_VALKEY_URL": "redis://127.0.0.1:1",
    "WEIR_USAGE_QUEUE_URL": "http://127.0.0.1:1/queue",
}


@dataclass(frozen=True)
class Cost:
    """Medians over the runs: seconds, peak resident megabytes, modules loaded."""

    seconds: float
    megabytes: float
    modules: int


def measure(python: Path, module: str, environment: dict[str, str]) -> Cost:
    """Import `module` in `RUNS` fresh processes, after one that warms the file cache."""
    results = [_once(python, module, environment) for _ in range(RUNS + 1)][1:]
    seconds, megabytes, modules = zip(*results, strict=True)
    return Cost(statistics.median(seconds), statistics.median(megabytes), int(statistics.median(modules)))


def _once(python: Path, module: str, environment: dict[str, str]) -> list[float]:
    finished = subprocess.run(
        [str(python), "-c", _PROBE, module],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    result: list[float] = json.loads(finished.stdout.splitlines()[-1])
    return result


def main() -> None:
    """Print the table and the ratio."""
    weir = measure(Path(sys.executable), "chat.handler", _ENVIRONMENT)
    # Without its own switch LiteLLM would first try to download its price map.
    litellm = measure(
        install_litellm(), "litellm.proxy.proxy_server", {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    )
    table = Table("import", "seconds", "peak MB", "modules", title=f"median of {RUNS} fresh processes")
    for name, cost in (("chat.handler", weir), ("litellm.proxy.proxy_server", litellm)):
        table.add_row(name, f"{cost.seconds:.2f}", f"{cost.megabytes:.0f}", str(cost.modules))
    console = Console()
    console.print(table)
    console.print(f"Weir's is 1/{litellm.seconds / weir.seconds:.1f} of LiteLLM's.")


if __name__ == "__main__":
    main()
