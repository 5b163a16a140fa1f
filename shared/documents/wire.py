"""Plans and documents as JSON: for messages, and between a process and its sandbox."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from pydantic import TypeAdapter

from shared.documents.document import Document, FailureCode
from shared.documents.parts import FilePart, Plan


@dataclass(frozen=True, kw_only=True)
class PlanRequest:
    """Find the parts of the file at `path`."""

    path: Path
    filename: str
    media_type: str | None
    kind: Literal["plan"] = "plan"


@dataclass(frozen=True, kw_only=True)
class ParseRequest:
    """Read one part of the file at `path`."""

    path: Path
    plan: Plan
    part: FilePart
    kind: Literal["parse"] = "parse"


@dataclass(frozen=True, kw_only=True)
class ImageRequest:
    """Draw a page of the PDF at `path`."""

    path: Path
    page: int
    kind: Literal["image"] = "image"


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why a file cannot be read."""

    code: FailureCode
    message: str


Request = PlanRequest | ParseRequest | ImageRequest

REQUEST: Final[TypeAdapter[Request]] = TypeAdapter(Request)
REFUSAL: Final = TypeAdapter(Refusal)
PLAN: Final = TypeAdapter(Plan)
PART: Final = TypeAdapter(FilePart)
DOCUMENT: Final = TypeAdapter(Document)
