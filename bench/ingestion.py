"""Reading and cutting files into chunks, beside MarkItDown with LangChain's recursive splitter (PyPI).

Also the memory that a PDF of 300 pages takes. The peer is installed in `.tools/bench/markitdown`.

Each figure is of a process of its own: the best of several readings in seconds of processor time, and the
highest resident memory.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.ingestion_files import PAGES, SAMPLES, made_files
from local.process import ROOT

_PEER: Final = ROOT / ".tools" / "bench" / "markitdown"
_PACKAGES: Final = ("markitdown[docx,pdf,pptx,xlsx]==0.1.9", "langchain-text-splitters==1.1.3")
_MEMORY_MB: Final = 512
# The peer has nothing to ask the world: what it tries ends at a port that nobody listens on.
_ALONE: Final = {"HTTP_PROXY": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9"}
_TIMEOUT_SECONDS: Final = 900


@dataclass(frozen=True, kw_only=True)
class Run:
    """What one engine took for one file."""

    seconds: float
    characters: int
    chunks: int
    peak_mb: float


def main() -> int:
    """Print the table; fails if the PDF takes more memory than it may."""
    peer = _install()
    if not SAMPLES.is_dir():
        print(f"No sample documents in {SAMPLES}: PDF, DOCX, PPTX and HTML are left out.")
    heads = (
        f"{name:>{width}} {'MB':>5} {'chunks':>6}" for name, width in (("Weir s", 8), ("MarkItDown s", 12))
    )
    print(" | ".join([f"{'file':20} {'KB':>6}", *heads]))
    peak = 0.0
    with tempfile.TemporaryDirectory() as directory:
        for path in made_files(Path(directory)):
            ours = _run(Path(sys.executable), "weir", path)
            theirs = _run(peer, "markitdown", path) if peer else None
            size = f"{path.name[:20]:20} {path.stat().st_size / 1024:6.0f}"
            print(size, _shown(ours, 8), _shown(theirs, 12), sep=" | ", flush=True)
            if path.suffix == ".pdf" and ours is not None:
                peak = ours.peak_mb
    if peak:
        print(f"{PAGES} pages of PDF took {peak:.0f} MB; at most {_MEMORY_MB} MB are allowed.")
    return int(peak > _MEMORY_MB)


def _shown(run: Run | None, width: int) -> str:
    if run is None:
        return f"{'not read':>{width}} {'':>5} {'':>6}"
    return f"{run.seconds:{width}.3f} {run.peak_mb:5.0f} {run.chunks:6,}"


def _run(python: Path, engine: str, path: Path) -> Run | None:
    """None where the engine cannot read the file."""
    environment: Mapping[str, str] = {
        **os.environ,
        **(_ALONE if engine != "weir" else {}),
        "PYTHONPATH": str(ROOT),
    }
    argv = [str(python), str(ROOT / "bench" / "ingestion_run.py"), engine, str(path)]
    result = subprocess.run(
        argv, env=environment, capture_output=True, text=True, check=False, timeout=_TIMEOUT_SECONDS
    )
    return Run(**json.loads(result.stdout.splitlines()[-1])) if result.returncode == 0 else None


def _install() -> Path | None:
    """The peer's Python; None where it cannot be installed."""
    python, mark = _PEER / "bin" / "python", _PEER / "installed.txt"
    wanted = "\n".join(_PACKAGES)
    if mark.exists() and mark.read_text() == wanted:
        return python
    uv = str(Path(sys.executable).with_name("uv"))
    _PEER.parent.mkdir(parents=True, exist_ok=True)
    for argv in (
        [uv, "venv", "--quiet", "--clear", f"--python={sys.executable}", str(_PEER)],
        [uv, "pip", "install", "--quiet", "--python", str(python), *_PACKAGES],
    ):
        result = subprocess.run(argv, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            print(f"MarkItDown cannot be installed: {result.stderr.strip()[-300:]}")
            return None
    mark.write_text(wanted)
    return python


if __name__ == "__main__":
    sys.exit(main())
