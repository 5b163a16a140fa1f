"""Large objects in bounded memory: read by ranges, and written by multipart upload."""

from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Self

from botocore.exceptions import ClientError

from shared.aws.clients import call, client
from shared.aws.objects import Objects
from shared.errors import NotFoundError

# Every part but the last has at least 5 MiB:
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
_PART = 8 * 2**20
_BLOCK = 4 * 2**20


class ObjectChangedError(Exception):
    """The object is gone, or has other bytes than the version that was asked for."""


async def read_range(objects: Objects, key: str, start: int, end: int, *, etag: str) -> bytes:
    """Bytes [start, end) of the version `etag` of an object.

    Raises:
        ObjectChangedError: There is no such version any more.
    """
    try:
        answer = await call(
            client("s3").get_object,
            Bucket=objects.bucket,
            Key=key,
            Range=f"bytes={start}-{end - 1}",
            IfMatch=etag,
        )
    except ClientError as error:
        if error.response["Error"]["Code"] in ("NoSuchKey", "404", "NotFound", "PreconditionFailed", "412"):
            raise ObjectChangedError(key) from error
        raise
    data: bytes = await call(answer["Body"].read)
    return data


async def read_blocks(objects: Objects, key: str, size: int, *, etag: str) -> AsyncIterator[bytes]:
    """The version `etag` of an object of `size` bytes, piece by piece.

    Raises:
        ObjectChangedError: There is no such version any more.
    """
    for start in range(0, size, _BLOCK):
        yield await read_range(objects, key, start, min(size, start + _BLOCK), etag=etag)


class ObjectWriter:
    """Writes one object in parts: it appears whole when it is closed, and not at all after an exception."""

    def __init__(self, objects: Objects, key: str, media_type: str) -> None:
        self._target = {"Bucket": objects.bucket, "Key": key}
        self._media_type = media_type
        self._waiting = bytearray()
        self._upload_id: str | None = None
        self._parts: list[dict[str, Any]] = []
        self.size = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            await self._finish()
        elif self._upload_id is not None:
            await call(client("s3").abort_multipart_upload, **self._target, UploadId=self._upload_id)

    async def write(self, data: bytes) -> None:
        """Add bytes; a part is sent whenever there are enough."""
        self._waiting += data
        self.size += len(data)
        while len(self._waiting) >= _PART:
            part = bytes(self._waiting[:_PART])
            del self._waiting[:_PART]
            await self._send(part)

    async def _send(self, part: bytes) -> None:
        if self._upload_id is None:
            begun = await call(
                client("s3").create_multipart_upload, **self._target, ContentType=self._media_type
            )
            self._upload_id = begun["UploadId"]
        number = len(self._parts) + 1
        answer = await call(
            client("s3").upload_part,
            **self._target,
            UploadId=self._upload_id,
            PartNumber=number,
            Body=part,
        )
        self._parts.append({"PartNumber": number, "ETag": answer["ETag"]})

    async def _finish(self) -> None:
        last = bytes(self._waiting)
        if self._upload_id is None:
            await call(client("s3").put_object, **self._target, Body=last, ContentType=self._media_type)
            return
        if last:
            await self._send(last)
        await call(
            client("s3").complete_multipart_upload,
            **self._target,
            UploadId=self._upload_id,
            MultipartUpload={"Parts": self._parts},
        )


async def version_of(objects: Objects, key: str) -> tuple[int, str]:
    """Size in bytes and version of an object.

    Raises:
        ObjectChangedError: There is no such object.
    """
    try:
        info = await objects.info(key)
    except NotFoundError as error:
        raise ObjectChangedError(key) from error
    return info.size, info.etag
