"""Objects in one S3 bucket. Keys begin with the tenant: `{tenant_id}/{kind}/{id}/...`."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from botocore.exceptions import ClientError

from shared.aws.clients import call, client
from shared.errors import NotFoundError

if TYPE_CHECKING:
    from botocore.response import StreamingBody

# Bytes that are read at a time where an object is written to a file.
_PIECE = 2**20


@dataclass(frozen=True)
class ObjectInfo:
    """What S3 says of an object: its key, its size in bytes, and when it was last written (aware).

    `etag` stands for its bytes: another one, other bytes.
    """

    key: str
    size: int
    modified: datetime
    etag: str = ""


class Objects:
    """The bucket of this deployment."""

    def __init__(self, bucket: str) -> None:
        self.bucket = bucket

    async def put(self, key: str, data: bytes | BinaryIO, media_type: str) -> None:
        """Store `data`; a file is read from where it stands, piece by piece."""
        await call(client("s3").put_object, Bucket=self.bucket, Key=key, Body=data, ContentType=media_type)

    async def get(self, key: str) -> bytes:
        """The whole object.

        Raises:
            NotFoundError: There is no such object.
        """
        try:
            answer = await call(client("s3").get_object, Bucket=self.bucket, Key=key)
        except ClientError as error:
            raise _translated(error, key) from error
        data: bytes = await call(answer["Body"].read)
        return data

    async def download(self, key: str, path: Path, *, start: int = 0, end: int | None = None) -> None:
        """Write bytes `start` to `end` of the object, or all of them, to a file, piece by piece.

        Raises:
            NotFoundError: There is no such object.
        """
        whole = start == 0 and end is None
        wanted = {} if whole else {"Range": f"bytes={start}-{'' if end is None else end - 1}"}
        try:
            answer = await call(client("s3").get_object, Bucket=self.bucket, Key=key, **wanted)
        except ClientError as error:
            raise _translated(error, key) from error
        await call(_copy, answer["Body"], path)

    async def info(self, key: str) -> ObjectInfo:
        """Size of the object, asked of S3 itself: events may report a wrong one.

        Raises:
            NotFoundError: There is no such object.
        """
        try:
            answer = await call(client("s3").head_object, Bucket=self.bucket, Key=key)
        except ClientError as error:
            raise _translated(error, key) from error
        return ObjectInfo(key, answer["ContentLength"], answer["LastModified"], answer["ETag"])

    async def delete(self, *keys: str) -> None:
        """Delete up to 1,000 objects; those that do not exist are no error."""
        if keys:
            await call(
                client("s3").delete_objects,
                Bucket=self.bucket,
                Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True},
            )

    async def keys(self, prefix: str, *, after: str = "") -> AsyncIterator[ObjectInfo]:
        """Every object under `prefix` whose key sorts after `after`, in order, page by page."""
        token = {"StartAfter": after} if after else {}
        while True:
            page = await call(client("s3").list_objects_v2, Bucket=self.bucket, Prefix=prefix, **token)
            for item in page.get("Contents", []):
                yield ObjectInfo(item["Key"], item["Size"], item["LastModified"], item["ETag"])
            if not page.get("IsTruncated"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    async def presign_put(
        self, key: str, media_type: str, expires_in: int, *, size: int | None = None
    ) -> str:
        """A URL that accepts a `PUT` of this key for `expires_in` seconds.

        The content type, and the size in bytes if given, are signed: S3 refuses others.
        """
        length = {} if size is None else {"ContentLength": size}
        url: str = await call(
            client("s3").generate_presigned_url,
            "put_object",
            Params={"Bucket": self.bucket, "Key": key, "ContentType": media_type, **length},
            ExpiresIn=expires_in,
        )
        return url

    async def presign_get(self, key: str, expires_in: int) -> str:
        """A URL that gives the object, as a download, to whoever has it for `expires_in` seconds."""
        url: str = await call(
            client("s3").generate_presigned_url,
            "get_object",
            Params={"Bucket": self.bucket, "Key": key, "ResponseContentDisposition": "attachment"},
            ExpiresIn=expires_in,
        )
        return url


def _copy(body: "StreamingBody", path: Path) -> None:
    with path.open("wb") as file:
        for piece in body.iter_chunks(_PIECE):
            file.write(piece)


def _translated(error: ClientError, key: str) -> Exception:
    if error.response["Error"]["Code"] in ("NoSuchKey", "404", "NotFound"):
        return NotFoundError(f"There is no stored object {key!r}.")
    return error
