"""Handlers as Lambda loads them: imported anew, in the environment of that moment."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType


@dataclass(frozen=True)
class Context:
    """The part of Lambda's context that handlers use."""

    aws_request_id: str = "8f6d3c0e-1111-4222-8333-444455556666"
    function_name: str = "function"
    function_version: str = "$LATEST"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:eu-central-1:123456789012:function:function"
    remaining_ms: int = 60_000

    def get_remaining_time_in_millis(self) -> int:
        return self.remaining_ms


@contextmanager
def fresh_handler(function: str) -> Iterator[ModuleType]:
    """`<function>.handler`, imported anew; what was loaded before is back afterwards.

    Leave it where no event loop runs, as in a fixture that is not async: the handler's own loop runs then.
    """
    before = _modules_of(function)
    for name in before:
        del sys.modules[name]
    try:
        handler = importlib.import_module(f"{function}.handler")
        try:
            yield handler
        finally:
            _close(handler)
    finally:
        for name in _modules_of(function):
            del sys.modules[name]
        sys.modules.update(before)


def _close(handler: ModuleType) -> None:
    """Close what Lambda would drop with the process: the loop, and the connections that belong to it."""
    if (loop := getattr(handler, "_loop", None)) is None:
        return
    loop.run_until_complete(handler._resources.aclose())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


def _modules_of(function: str) -> dict[str, ModuleType]:
    return {name: module for name, module in sys.modules.items() if name.split(".")[0] == function}
