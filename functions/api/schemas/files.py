"""Files as OpenAI's SDK sends and expects them (openai/types/file_object.py, file_create_params.py)."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, PositiveInt

from api.schemas.fields import Item, RequestModel, Text
from shared.files.models import FileStatus, Purpose, StoredFile

UploadPurpose = Literal["assistants", "batch", "user_data", "vision"]

# RFC 9110, 8.3.1, to the letter: it becomes a header of S3's.
_WORD = r"[A-Za-z0-9!#$&^_.+-]+"
MediaType = Annotated[
    str, Field(max_length=127, pattern=rf'^{_WORD}/{_WORD}( *; *{_WORD}=({_WORD}|"[^"\x00-\x1f]*"))*$')
]
Filename = Annotated[Text, Field(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]+$")]

DEFAULT_MEDIA_TYPE = "application/octet-stream"


class FileExpiry(RequestModel):
    """After how long a file is deleted: 1 hour to 30 days."""

    anchor: Literal["created_at"]
    seconds: Annotated[int, Field(ge=3600, le=2_592_000)]


class UploadForm(RequestModel):
    """The fields beside the file in a multipart body."""

    purpose: UploadPurpose
    expires_after: FileExpiry | None = None


class UploadRequest(RequestModel):
    """A file to be sent straight to storage: Weir's own way, for those too large for a request body."""

    filename: Filename
    purpose: UploadPurpose
    bytes: PositiveInt
    media_type: MediaType = DEFAULT_MEDIA_TYPE
    expires_after: FileExpiry | None = None


class UploadTarget(BaseModel):
    """Where to send the bytes: with this method, these headers, and exactly the announced size."""

    method: Literal["PUT"] = "PUT"
    url: str
    headers: dict[str, str]
    expires_at: int


class FileExtras(BaseModel):
    """What OpenAI has no word for. `status` says `pending` while the bytes are awaited."""

    status: FileStatus
    media_type: str | None
    source_url: str | None
    upload: UploadTarget | None = None


class FileObject(Item):
    """OpenAI's file object."""

    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    expires_at: int | None
    filename: str
    purpose: Purpose
    status: Literal["uploaded", "processed"]
    status_details: None = None
    weir: FileExtras


class FileDeleted(BaseModel):
    """OpenAI's answer to a deletion."""

    id: str
    object: Literal["file"] = "file"
    deleted: Literal[True] = True


def file_object(file: StoredFile, *, upload: UploadTarget | None = None) -> FileObject:
    """A file as it is shown.

    OpenAI's `status` has no word for a file whose bytes are awaited, and its SDK waits for `processed`. So
    that is what a file becomes when its bytes are there, and `uploaded` is all that is left to say before.
    """
    return FileObject(
        id=file.file_id,
        bytes=file.bytes,
        created_at=unix(file.created_at),
        expires_at=None if file.expires_at is None else unix(file.expires_at),
        filename=file.filename,
        purpose=file.purpose,
        status="processed" if file.status == "uploaded" else "uploaded",
        weir=FileExtras(
            status=file.status, media_type=file.media_type, source_url=file.source_url, upload=upload
        ),
    )


def unix(moment: datetime) -> int:
    """Seconds since 1970, as OpenAI writes every moment."""
    return int(moment.timestamp())
