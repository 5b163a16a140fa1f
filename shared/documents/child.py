"""The process in which files are read: it may use so much memory and no more, and opens nothing but its file.

A frame is a letter for what it holds and its length, then JSON, or the bytes of a picture. Requests come on
standard input, one answer to each goes to standard output, and the end of the input ends the process.
"""

import os
import resource
import struct
import sys
import traceback
from pathlib import Path
from typing import BinaryIO, Final

from shared.documents.document import UnreadableDocumentError, invalid
from shared.documents.parts import parse_part, plan_parts
from shared.documents.source import Source
from shared.documents.wire import (
    DOCUMENT,
    PLAN,
    REFUSAL,
    REQUEST,
    ImageRequest,
    ParseRequest,
    PlanRequest,
    Refusal,
    Request,
)

HEADER: Final = struct.Struct(">cQ")
_ANSWER: Final = b"A"
_REFUSAL: Final = b"R"
_MEGABYTE: Final = 2**20
_DENIED: Final = (
    "socket.",
    "subprocess.",
    "os.exec",
    "os.fork",
    "os.spawn",
    "os.posix_spawn",
    "os.system",
    "pty.",
)
_WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def main() -> None:
    """Serve requests until the input ends. Arguments: bytes of memory; seconds of work for each."""
    memory, seconds = int(sys.argv[1]), float(sys.argv[2])
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    allowed = Allowed()
    sys.addaudithook(allowed.audit)
    while header := requests.read(HEADER.size):
        _, length = HEADER.unpack(header)
        request = REQUEST.validate_json(requests.read(length))
        allowed.file = request.path
        _bound_work(seconds)
        kind, payload = _answer(request, memory)
        _write(answers, kind, payload)


class Allowed:
    """What may be opened: the file of the request, and Python's own modules; only to read."""

    def __init__(self) -> None:
        self.file: Path | None = None
        roots = (sys.prefix, sys.base_prefix, "/usr/share/zoneinfo", *filter(None, sys.path))
        self._roots = tuple(os.path.join(os.path.realpath(root), "") for root in roots)  # noqa: PTH118

    def audit(self, event: str, arguments: tuple[object, ...]) -> None:
        """Refuse what a parser has no business to do (PEP 578)."""
        if event.startswith(_DENIED):
            raise PermissionError(f"{event} is not allowed here")
        if event == "open" and not self._may_open(arguments[0], arguments[2]):
            raise PermissionError(f"{arguments[0]} is not to be opened here")

    def _may_open(self, name: object, flags: object) -> bool:
        if not isinstance(name, str | bytes | Path):  # a descriptor that is open already
            return True
        if isinstance(flags, int) and flags & _WRITING:
            return False
        path = os.fsdecode(name)
        return path == str(self.file) or os.path.realpath(path).startswith(self._roots)


def _bound_work(seconds: float) -> None:
    """Even if nobody is left to end this process, the work on one request ends."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(used.ru_utime + used.ru_stime + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _answer(request: Request, memory: int) -> tuple[bytes, bytes]:
    try:
        return _ANSWER, _served(request)
    except UnreadableDocumentError as error:
        return _refused(error)
    except MemoryError:
        message = f"Reading the file needs more than {memory // _MEGABYTE:,} MB of memory. Split it."
        return _refused(invalid(message))
    except Exception:  # whatever a hostile file makes a parser do, it is that file's failure alone
        traceback.print_exc()
        message = "The file is not built as its format asks for. Open it, save it again and upload that."
        return _refused(invalid(message))


def _served(request: Request) -> bytes:
    match request:
        case PlanRequest(path=path, filename=filename, media_type=media_type):
            return PLAN.dump_json(plan_parts(path, filename, media_type))
        case ParseRequest(path=path, plan=plan, part=part):
            return DOCUMENT.dump_json(parse_part(path, plan, part))
        case ImageRequest(path=path, page=page):
            from shared.documents.pdf_image import page_image

            return page_image(Source(path), page)


def _refused(error: UnreadableDocumentError) -> tuple[bytes, bytes]:
    return _REFUSAL, REFUSAL.dump_json(Refusal(code=error.code, message=error.message))


def _write(answers: BinaryIO, kind: bytes, payload: bytes) -> None:
    answers.write(HEADER.pack(kind, len(payload)))
    answers.write(payload)
    answers.flush()


if __name__ == "__main__":
    main()
