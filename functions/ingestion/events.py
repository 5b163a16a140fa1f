"""Messages of the ingestion queue: S3's own events, and jobs.

S3's form: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html. Keys in
it are URL-encoded, and sizes may be wrong.
"""

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote_plus

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from shared.knowledge.messages import IngestFile, IngestPart, ReembedStore


class MalformedMessageError(Exception):
    """The message is of no known form, and never will be."""


@dataclass(frozen=True)
class ObjectsCreated:
    """Objects with these keys were put into the bucket."""

    keys: tuple[str, ...]


@dataclass(frozen=True)
class ConnectionTest:
    """What S3 sends once when it is told to send events: nothing to do."""


@dataclass(frozen=True, kw_only=True)
class UploadedObject:
    """The bytes of a file, as they were uploaded."""

    tenant_id: str
    file_id: str
    key: str


Message = IngestFile | IngestPart | ReembedStore | ObjectsCreated | ConnectionTest


class _Object(BaseModel):
    key: str = Field(min_length=1)


class _Entity(BaseModel):
    object: _Object


class _Record(BaseModel):
    source: Literal["aws:s3"] = Field(alias="eventSource")
    name: str = Field(alias="eventName")
    s3: _Entity


class _Notification(BaseModel):
    records: list[_Record] = Field(alias="Records", min_length=1)


class _Test(BaseModel):
    event: Literal["s3:TestEvent"] = Field(alias="Event")


_Body = IngestFile | IngestPart | ReembedStore | _Notification | _Test
_BODY: TypeAdapter[_Body] = TypeAdapter(_Body)

_UPLOAD = re.compile(r"(?P<tenant_id>[^/]+)/files/(?P<file_id>[^/]+)/[^/]+")


def parse_message(body: str) -> Message:
    """The message in an SQS body.

    Raises:
        MalformedMessageError: It is none.
    """
    try:
        match _BODY.validate_json(body):
            case IngestFile() | IngestPart() | ReembedStore() as job:
                return job
            case _Test():
                return ConnectionTest()
            case _Notification(records=records):
                created = [record for record in records if record.name.startswith("ObjectCreated:")]
                return ObjectsCreated(tuple(unquote_plus(record.s3.object.key) for record in created))
    except ValidationError as error:
        places = sorted({".".join(map(str, item["loc"])) for item in error.errors()})
        raise MalformedMessageError(f"neither a job nor an event of S3: {', '.join(places)}") from None


def parse_key(key: str) -> UploadedObject | None:
    """Which file an object is, if its key is that of an upload: `{tenant_id}/files/{file_id}/{filename}`."""
    found = _UPLOAD.fullmatch(key)
    return UploadedObject(tenant_id=found["tenant_id"], file_id=found["file_id"], key=key) if found else None
