"""The whole stack: components, then what a deployment consists of, then the functions."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from local.catalog import local_catalog, read_user_catalog
from local.components.cloud import Cloud, cloud_is_installed, install_cloud, start_cloud
from local.components.models import answers, start_embedding_model, start_language_model
from local.components.postgres import PostgresUrls, start_postgres
from local.components.storage import Deployment
from local.components.valkey import start_valkey
from local.data_directory import Access, exclusive, write_access
from local.functions import (
    DATABASE_SECRET,
    Parts,
    environment,
    gateway_program,
    websocket_program,
    worker_programs,
)
from local.lambda_function import TAKES_EVENTS
from local.process import Child, Launcher, LocalError, Program, free_port
from local.tenancy import ensure_access
from local.terminal import Terminal

R = TypeVar("R")

_BUCKET = "weir-files"


@dataclass(frozen=True, kw_only=True)
class Running:
    """A stack that serves."""

    access: Access
    vital: Sequence[Child]
    workers: Sequence[Child]
    launcher: Launcher
    terminal: Terminal

    async def supervise(self) -> None:
        """Watch every process until cancelled. A worker that crashes is started again, as Lambda would do.

        Raises:
            LocalError: A component or the gateway has ended, or a worker does not start again.
        """
        async with asyncio.TaskGroup() as tasks:
            for child in self.vital:
                tasks.create_task(_watch(child))
            for worker in self.workers:
                tasks.create_task(self._keep(worker))

    async def _keep(self, worker: Child) -> None:
        while True:
            self.terminal.problem(f"{await worker.ended()}\n{worker.name} is started again.")
            worker = await _start_worker(self.launcher, worker.program)


@asynccontextmanager
async def stack(data: Path, port: int, terminal: Terminal) -> AsyncIterator[Running]:
    """Start everything over the data directory, serve on `port` (0: a free one), and end it all.

    Raises:
        LocalError: The data is in use, the port is taken, or a part does not start.
    """
    port = port or free_port()
    _check_port(port)
    async with exclusive(data) as lock:
        await _install(terminal)
        async with Launcher(data / "logs", lock=lock) as stores:
            components = await _start_components(data, stores, terminal)
            parts = await _deploy(data, components)
            async with Launcher(data / "logs", lock=lock) as launcher:
                fronts, workers = await _start_functions(launcher, parts, port, terminal)
                access_file = data / "local.json"
                access = await ensure_access(
                    components.postgres.login, access_file, f"http://127.0.0.1:{port}/v1"
                )
                write_access(access_file, access)
                yield Running(
                    access=access,
                    vital=(*stores.children, *fronts),
                    workers=workers,
                    launcher=launcher,
                    terminal=terminal,
                )


@dataclass(frozen=True, kw_only=True)
class _Components:
    postgres: PostgresUrls
    valkey_url: str
    cloud: Cloud
    chat_url: str
    embedding_url: str


async def _start_components(data: Path, launcher: Launcher, terminal: Terminal) -> _Components:
    def begin(name: str, start: Coroutine[None, None, R]) -> asyncio.Task[R]:
        return tasks.create_task(_step(terminal, name, start))

    with terminal.progress():
        async with asyncio.TaskGroup() as tasks:
            postgres = begin("PostgreSQL", start_postgres(data / "postgres", launcher))
            valkey = begin("Valkey", start_valkey(data / "valkey", launcher))
            cloud = begin("S3, SQS and secrets", start_cloud(data / "cloud", launcher))
            chat = begin("language model", start_language_model(launcher))
            embeddings = begin("embedding model", start_embedding_model(launcher))
    return _Components(
        postgres=postgres.result(),
        valkey_url=valkey.result(),
        cloud=cloud.result(),
        chat_url=chat.result(),
        embedding_url=embeddings.result(),
    )


async def _step(terminal: Terminal, name: str, work: Coroutine[None, None, R]) -> R:
    with terminal.step(name):
        return await work


async def _deploy(data: Path, components: _Components) -> Parts:
    """Make bucket, queues, secret and catalog, as a deployment of `template.yaml` would."""
    catalog = data / "catalog.toml"
    added = read_user_catalog(os.environ.get("WEIR_CATALOG", ""))
    text = local_catalog(components.chat_url, components.embedding_url, added)
    await asyncio.to_thread(catalog.write_text, text, "utf-8")
    deployment = await asyncio.to_thread(Deployment, components.cloud)
    await deployment.bucket(_BUCKET)
    queues = await deployment.queues("weir")
    await deployment.notify(_BUCKET, queues.ingestion)
    await deployment.secret(DATABASE_SECRET, components.postgres.login)
    return Parts(
        cloud=components.cloud,
        valkey_url=components.valkey_url,
        bucket=_BUCKET,
        queues=queues,
        catalog=catalog,
        websocket_port=free_port(),
    )


async def _start_functions(
    launcher: Launcher, parts: Parts, port: int, terminal: Terminal
) -> tuple[list[Child], list[Child]]:
    """What callers reach, and the workers."""
    variables = environment(parts)
    with terminal.progress(), terminal.step("functions"):
        async with asyncio.TaskGroup() as tasks:
            http = gateway_program(variables, port)
            websocket = websocket_program(variables, parts.websocket_port)
            fronts = [
                tasks.create_task(_start_front(launcher, http, port)),
                tasks.create_task(_start_front(launcher, websocket, parts.websocket_port)),
            ]
            workers = [
                tasks.create_task(_start_worker(launcher, program))
                for program in worker_programs(variables, parts.queues)
            ]
    return [front.result() for front in fronts], [worker.result() for worker in workers]


async def _start_front(launcher: Launcher, program: Program, port: int) -> Child:
    child = await launcher.start(program)
    await child.ready(lambda: answers(f"http://127.0.0.1:{port}/healthz"), timeout=60)
    return child


async def _start_worker(launcher: Launcher, program: Program) -> Child:
    child = await launcher.start(program)

    async def takes_events() -> bool:
        return TAKES_EVENTS in child.output()

    await child.ready(takes_events, timeout=60)
    return child


async def _install(terminal: Terminal) -> None:
    if cloud_is_installed():
        return
    with terminal.progress(), terminal.step("ministack, installed into .tools/"):
        await install_cloud()


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        # As the server will do: a connection of the last run that lingers does not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise LocalError(
                f"Port {port} of 127.0.0.1 cannot be used ({error.strerror}). "
                f"Choose another: make run PORT={port + 1}"
            ) from None


async def _watch(child: Child) -> None:
    raise LocalError(await child.ended())
