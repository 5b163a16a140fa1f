"""The local language model and the local embedding model, each a server that speaks OpenAI's protocol."""

import asyncio
import os
import sys
import urllib.error
import urllib.request

from local.process import Launcher, Program, free_port

CHAT_MODEL = "smollm2-135m-instruct"
EMBEDDING_MODEL = "use-multilingual-v3"
EMBEDDING_DIMENSIONS = 512

# Tokens. What SmolLM2-135M was trained for.
CONTEXT_WINDOW = 8192


def threads() -> int:
    """How many threads a model computes with: all cores but one, four at most.

    Threads wait for each other actively after every step: with one per core, anything else that runs slows a
    model down tenfold.
    """
    return max(1, min(4, (os.cpu_count() or 1) - 1))


async def start_language_model(launcher: Launcher) -> str:
    """Start SmolLM2-135M-Instruct, 4-bit, on llama.cpp, and return its `/v1` base URL.

    Raises:
        LocalError: It does not start.
    """
    return await _start("language-model", "local.servers.language_model", launcher)


async def start_embedding_model(launcher: Launcher) -> str:
    """Start Universal Sentence Encoder multilingual v3 on numpy, and return its `/v1` base URL.

    Raises:
        LocalError: It does not start.
    """
    return await _start("embedding-model", "local.servers.embedding_model", launcher)


async def _start(name: str, module: str, launcher: Launcher) -> str:
    port = free_port()
    child = await launcher.start(Program(name=name, argv=[sys.executable, "-m", module, str(port)]))
    await child.ready(lambda: answers(f"http://127.0.0.1:{port}/health"), timeout=60)
    return f"http://127.0.0.1:{port}/v1"


async def answers(url: str) -> bool:
    """Whether a GET of `url` answers with success within two seconds."""
    return await asyncio.to_thread(_get, url)


def _get(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own address
            return bool(answer.status < 300)
    except (urllib.error.URLError, OSError):
        return False
