"""A function of `functions/` as Lambda runs it: one process, one event at a time."""

import asyncio
import importlib
import os
import sys
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

from local.components.cloud import REGION

ACCOUNT = "000000000000"

# What a process prints when its function is loaded and it begins to call it.
TAKES_EVENTS = "takes events"

Event = dict[str, Any]
Handler = Callable[[Event, "LambdaContext"], Any]


class LambdaContext:
    """What Lambda tells a handler of its invocation, as far as one machine has it.

    https://docs.aws.amazon.com/lambda/latest/dg/python-context.html. Time is not limited here, so the
    remaining time is always that of Lambda's longest timeout.
    """

    function_version = "$LATEST"
    memory_limit_in_mb = "1024"
    identity = None
    client_context = None

    def __init__(self, function_name: str) -> None:
        self.function_name = function_name
        self.invoked_function_arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{function_name}"
        self.log_group_name = f"/aws/lambda/{function_name}"
        self.log_stream_name = "local"
        self.aws_request_id = str(uuid.uuid4())

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds left for this invocation."""
        return 900_000


def load(name: str) -> Handler:
    """The `handle` of a function, after its module has read its settings and made its clients."""
    handler: Handler = importlib.import_module(f"{name}.handler").handle
    return handler


class LambdaThread:
    """A function in the one thread that its event loop and its connections belong to: one event at a time."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._handler: Handler = self._thread.submit(load, name).result()

    async def invoke(self, event: Event) -> Any:
        """What the function answers."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._handler, event, LambdaContext(self._name))


def leave() -> NoReturn:
    """End this process at once, as Lambda drops an environment: functions have no end to clean up at."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
