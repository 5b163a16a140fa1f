"""Reads files in a process of its own, with limits of time and memory: no file takes the worker down."""

import asyncio
import contextlib
import os
import sys
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from shared.documents.child import HEADER
from shared.documents.document import Document, UnreadableDocumentError, invalid
from shared.documents.parts import FilePart, Plan
from shared.documents.wire import (
    DOCUMENT,
    PLAN,
    REFUSAL,
    REQUEST,
    ImageRequest,
    ParseRequest,
    PlanRequest,
    Request,
)

_MEGABYTE: Final = 2**20
# All that the child gets of the environment: credentials stay here.
_INHERITED: Final = ("PATH", "LD_LIBRARY_PATH", "LANG", "TZ")


@dataclass(frozen=True, kw_only=True)
class SandboxLimits:
    """What one call may take; after `documents` calls the process is started anew. `memory_bytes` is address
    space, of which Python and its libraries take some 400 MB before the first file.
    """

    memory_bytes: int = 2**30
    seconds: float = 120.0
    documents: int = 200
    answer_bytes: int = 512 * 2**20


class Sandbox:
    """One process that reads files, started when needed and again after it ended; one call at a time.

    Whatever a file does to it, the call ends with `UnreadableDocumentError`. Needs neither `/dev/shm` nor
    privileges, so that it runs in Lambda as it does elsewhere.
    """

    def __init__(self, limits: SandboxLimits | None = None) -> None:
        self._limits = limits or SandboxLimits()
        self._turn = asyncio.Lock()
        self._process: Process | None = None
        self._served = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def plan(self, path: Path, filename: str, media_type: str | None) -> Plan:
        """`plan_parts` of the file."""
        request = PlanRequest(path=path, filename=filename, media_type=media_type)
        return PLAN.validate_json(await self._call(request))

    async def parse(self, path: Path, plan: Plan, part: FilePart) -> Document:
        """`parse_part` of the file."""
        return DOCUMENT.validate_json(await self._call(ParseRequest(path=path, plan=plan, part=part)))

    async def page_image(self, path: Path, page: int) -> bytes:
        """A page of a PDF, from 1, as PNG."""
        return await self._call(ImageRequest(path=path, page=page))

    async def close(self) -> None:
        """End the process."""
        process, self._process, self._served = self._process, None, 0
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _call(self, request: Request) -> bytes:
        async with self._turn:
            try:
                async with asyncio.timeout(self._limits.seconds):
                    kind, payload = await self._exchange(await self._running(), request)
            except TimeoutError:
                await self.close()
                raise invalid(
                    f"Reading the file takes longer than {self._limits.seconds:g} seconds."
                ) from None
            except (asyncio.IncompleteReadError, ConnectionError) as error:
                raise await self._died() from error
            except BaseException:  # cancelled in the middle of an exchange
                await self.close()
                raise
        if kind == b"R":
            refusal = REFUSAL.validate_json(payload)
            raise UnreadableDocumentError(refusal.code, refusal.message)
        return payload

    async def _running(self) -> Process:
        if self._served >= self._limits.documents:
            await self.close()
        if self._process is None or self._process.returncode is not None:
            self._served = 0
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "shared.documents.child",
                str(self._limits.memory_bytes),
                str(self._limits.seconds),
                stdin=PIPE,
                stdout=PIPE,
                stderr=None,
                env=_environment(),
            )
        self._served += 1
        return self._process

    async def _exchange(self, process: Process, request: Request) -> tuple[bytes, bytes]:
        if process.stdin is None or process.stdout is None:
            raise ConnectionError("the process has no pipes")
        body = REQUEST.dump_json(request)
        process.stdin.write(HEADER.pack(b"Q", len(body)) + body)
        await process.stdin.drain()
        kind, length = HEADER.unpack(await process.stdout.readexactly(HEADER.size))
        if length > self._limits.answer_bytes:
            raise ConnectionError(f"an answer of {length:,} bytes")
        return kind, await process.stdout.readexactly(length)

    async def _died(self) -> UnreadableDocumentError:
        """What to say when the process ended: as a rule a library of C had no memory left, or a fault."""
        await self.close()
        megabytes = self._limits.memory_bytes // _MEGABYTE
        return invalid(
            f"The file made its reader break off: it is damaged, or needs more than {megabytes:,} MB "
            "of memory. Open it, save it again or split it."
        )


def _environment() -> dict[str, str]:
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {
        **inherited,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "PYTHONSAFEPATH": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        # Each thread of a library takes address space, and one file is read at a time.
        "OPENBLAS_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "1",
    }
