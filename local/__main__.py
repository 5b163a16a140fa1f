"""The whole of Weir on one machine: `python -m local run`. See docs/local.md."""

import argparse
import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from local.components.cloud import install_cloud
from local.components.models import CHAT_MODEL
from local.data_directory import Access, write_access
from local.demo import ask, prepare
from local.process import ROOT, LocalError
from local.stack import Running, stack
from local.terminal import Terminal

_PORT = 8000


def main() -> int:
    """Run the command line; the exit code."""
    options = _parser().parse_args()
    # Children and clients speak to 127.0.0.1 alone, which a proxy of the user's cannot reach.
    for name in ("no_proxy", "NO_PROXY"):
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), "127.0.0.1"]))
    terminal = Terminal()
    failed = False
    try:
        asyncio.run(_interruptible(options, terminal))
    except* LocalError as failures:
        failed = True
        terminal.problem(str(_first(failures)))
    return int(failed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="serve, with the example documents and a first question")
    up = commands.add_parser("up", help="serve alone")
    up.add_argument("--ready-file", type=Path, help="where to write local.json once more, when all is served")
    for command in (run, up):
        command.add_argument("--data", type=_directory, default=ROOT / ".weir", help="data directory")
        command.add_argument("--port", type=_port, default=os.environ.get("PORT") or str(_PORT))
    commands.add_parser("install", help="install what the lock file does not hold")
    return parser


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"a port is a number up to 65535 (0: a free one), not {text!r}")
    return int(text)


def _directory(text: str) -> Path:
    return Path(text).expanduser().resolve()


async def _interruptible(options: argparse.Namespace, terminal: Terminal) -> None:
    """Run the command until it ends, or until the first signal; then everything is ended in good order."""
    work = asyncio.ensure_future(_command(options, terminal))
    interrupted = False

    def interrupt() -> None:
        nonlocal interrupted
        if not interrupted:
            interrupted = True
            terminal.line("\nStopping ...")
            work.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, interrupt)
    try:
        await work
    except asyncio.CancelledError:
        if not interrupted:
            raise


async def _command(options: argparse.Namespace, terminal: Terminal) -> None:
    if options.command == "install":
        await install_cloud()
        return
    async with stack(options.data, options.port, terminal) as running, asyncio.TaskGroup() as tasks:
        tasks.create_task(running.supervise())
        if options.command == "run":
            await _introduce(running, terminal)
        else:
            await _announce(running, options.ready_file, terminal)


async def _introduce(running: Running, terminal: Terminal) -> None:
    from openai import OpenAIError

    try:
        store_id = await prepare(running.access, terminal)
        await ask(running.access, store_id, terminal)
    except (OpenAIError, TimeoutError) as error:
        raise LocalError(f"The example documents cannot be asked: {error!r}") from None
    terminal.line(f"\n[green bold]Weir is ready[/] after {terminal.seconds:.1f} s. Ctrl-C stops it.\n")
    terminal.line(_things_to_try(running.access, store_id))


async def _announce(running: Running, ready_file: Path | None, terminal: Terminal) -> None:
    terminal.line(f"Weir serves {running.access.base_url} after {terminal.seconds:.1f} s. Ctrl-C stops it.")
    if ready_file is not None:
        await asyncio.to_thread(write_access, ready_file, running.access)


def _things_to_try(access: Access, store_id: str) -> str:
    body = json.dumps(
        {
            "model": CHAT_MODEL,
            "messages": [{"role": "user", "content": "How long is the loan period?"}],
            "stream": True,
            "weir": {"knowledge": {"vector_store_ids": [store_id], "max_results": 3}},
        }
    )
    root = access.base_url.removesuffix("/v1")
    return f"""\
  address  {access.base_url}
  key      {access.api_key}

[bold]Three things to try[/]
  1. The page:  {root}/#key={access.api_key}
  2. The SDK:   .venv/bin/python examples/ask.py "How long is the loan period?"
  3. curl:
curl -N {access.base_url}/chat/completions -H 'Authorization: Bearer {access.api_key}' \\
  -H 'Content-Type: application/json' -d '{body}'
"""


def _first(failures: BaseExceptionGroup[LocalError]) -> BaseException:
    """The first failure: the others are what it brought about."""
    first: BaseException = failures
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first


if __name__ == "__main__":
    sys.exit(main())
