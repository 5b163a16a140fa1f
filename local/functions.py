"""Every function of the house, as a process over real components."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from local.components.cloud import Cloud
from local.components.models import EMBEDDING_MODEL
from local.components.storage import QueueUrls
from local.process import ROOT, Program

# Where Debian puts it. Without it pages that need a browser are marked.
CHROMIUM = Path("/usr/bin/chromium")

DATABASE_SECRET = "weir/database"  # noqa: S105 - the secret's name

# Seconds. A crash can empty the queues here, and nobody wants to wait an hour for what it interrupted.
_CLEANUP_INTERVAL = 60
_STUCK_AFTER = 90


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What functions are told of: the parameters and resources of `template.yaml`."""

    cloud: Cloud
    valkey_url: str
    bucket: str
    queues: QueueUrls
    catalog: Path
    websocket_port: int


def environment(parts: Parts) -> dict[str, str]:
    """The variables of all functions, with the names that `template.yaml` gives them."""
    return {
        **parts.cloud.environment,
        "PYTHONPATH": os.pathsep.join([str(ROOT / "functions"), str(ROOT)]),
        "WEIR_DATABASE_SECRET": f"secretsmanager:{DATABASE_SECRET}",
        "WEIR_VALKEY_URL": parts.valkey_url,
        "WEIR_VALKEY_CLUSTER": "false",
        "WEIR_BUCKET": parts.bucket,
        "WEIR_INGESTION_QUEUE_URL": parts.queues.ingestion,
        "WEIR_SCRAPING_QUEUE_URL": parts.queues.scraping,
        "WEIR_RENDERING_QUEUE_URL": parts.queues.rendering if CHROMIUM.exists() else "",
        "WEIR_BATCH_QUEUE_URL": parts.queues.batch,
        "WEIR_USAGE_QUEUE_URL": parts.queues.usage,
        "WEIR_TURNS_QUEUE_URL": parts.queues.turns,
        "WEIR_USAGE_DELIVERY": "background",
        "WEIR_WEBSOCKET_URL": f"ws://127.0.0.1:{parts.websocket_port}",
        "WEIR_WEBSOCKET_CALLBACK_URL": f"http://127.0.0.1:{parts.websocket_port}",
        "WEIR_CATALOG": str(parts.catalog),
        "WEIR_PROVIDER_SECRETS": "env:{PROVIDER}_API_KEY",
        "WEIR_EMBEDDING_MODEL": EMBEDDING_MODEL,
        "WEIR_STUCK_AFTER_SECONDS": str(_STUCK_AFTER),
    }


def gateway_program(variables: Mapping[str, str], port: int) -> Program:
    """The two HTTP functions behind one port."""
    return _program("gateway", "gateway", [str(port)], variables)


def websocket_program(variables: Mapping[str, str], port: int) -> Program:
    """The WebSocket API, and the routes behind it."""
    return _program("websocket", "websocket", [str(port)], variables)


def worker_programs(variables: Mapping[str, str], queues: QueueUrls) -> list[Program]:
    """The functions that queues and the schedule call."""
    fed = {"ingestion": queues.ingestion, "scraping": queues.scraping, "accounting": queues.usage}
    workers = [_program(name, "worker", [name, url], variables) for name, url in fed.items()]
    if CHROMIUM.exists():
        workers.append(_program("rendering", "worker", ["rendering", queues.rendering], variables))
    workers.append(behind(_program("batch", "worker", ["batch", queues.batch], variables)))
    workers.append(_program("turns", "turns", [], variables))
    return [*workers, _program("cleanup", "schedule", ["cleanup", str(_CLEANUP_INTERVAL)], variables)]


def behind(program: Program) -> Program:
    """The same with the lowest priority: live requests come first on one machine too."""
    return replace(program, argv=["nice", "-n", "19", *program.argv])


def _program(name: str, server: str, arguments: Sequence[str], variables: Mapping[str, str]) -> Program:
    argv = [sys.executable, "-m", f"local.servers.{server}", *arguments]
    return Program(name=name, argv=argv, environment=variables)
