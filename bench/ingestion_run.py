"""One run of `bench.ingestion` in a process of its own: read a file and cut it into chunks, so many times.

Runs in Weir's environment and in the peer's; imports what the engine needs and no more.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

# After a first reading, which imports much, a file is read until this much time went by.
_SECONDS = 2.0
# Beside a reading as long as this, imports are nothing.
_LONG = 10.0


def _weir(path: Path) -> tuple[int, int]:
    from shared.documents.parts import parse_part, plan_parts
    from shared.knowledge.chunk import chunk

    plan = plan_parts(path, path.name, None)
    characters = chunks = 0
    for part in plan.parts:
        document = parse_part(path, plan, part)
        characters += len(document.text)
        chunks += len(chunk(document))
    return characters, chunks


def _markitdown(path: Path) -> tuple[int, int]:
    from langchain_text_splitters import RecursiveCharacterTextSplitter
    from markitdown import MarkItDown

    text = MarkItDown().convert(str(path)).text_content
    chunks = RecursiveCharacterTextSplitter(chunk_size=1536, chunk_overlap=0).split_text(text)
    return len(text), len(chunks)


_ENGINES: dict[str, Callable[[Path], tuple[int, int]]] = {"weir": _weir, "markitdown": _markitdown}


def main() -> None:
    """Arguments: the engine and the file. Prints one line of JSON."""
    read, path = _ENGINES[sys.argv[1]], Path(sys.argv[2])
    started = time.process_time()
    characters, chunks = read(path)
    first = time.process_time() - started
    seconds = [first] if first > _LONG else []
    while sum(seconds) < _SECONDS:
        started = time.process_time()
        read(path)
        seconds.append(time.process_time() - started)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        json.dumps(
            {
                "seconds": min(seconds),
                "characters": characters,
                "chunks": chunks,
                "peak_mb": peak / (2**20 if sys.platform == "darwin" else 2**10),
            }
        )
    )


if __name__ == "__main__":
    main()
