"""Runs one function now and then every few minutes: `python -m local.servers.schedule FUNCTION SECONDS`.

Stands in for an EventBridge Scheduler schedule.
"""

import signal
import sys
import threading
import traceback
from datetime import UTC, datetime

from local.events import schedule_event
from local.lambda_function import TAKES_EVENTS, LambdaContext, leave, load


def main(name: str, seconds: float) -> None:
    """Run the function on schedule until SIGTERM. A failed run is logged; the next comes in its time."""
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    handler = load(name)
    sys.stdout.write(f"{name} {TAKES_EVENTS}\n")
    sys.stdout.flush()
    while not stopping.is_set():
        try:
            handler(schedule_event(name, datetime.now(UTC)), LambdaContext(name))
        except Exception:
            traceback.print_exc()
        stopping.wait(seconds)
    leave()


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
