"""Where a file's objects are in the bucket. Every key begins with the tenant."""

import re
from pathlib import PurePosixPath

# S3 allows keys of 1,024 bytes; the name is for people who browse the bucket, the record has the true one.
_NAME_LENGTH = 100


def object_key(tenant_id: str, file_id: str, filename: str) -> str:
    """Key of the bytes as they were uploaded: `{tenant_id}/files/{file_id}/{safe filename}`."""
    return f"{file_prefix(tenant_id, file_id)}{_safe(filename)}"


def file_prefix(tenant_id: str, file_id: str) -> str:
    """What the keys of a file's own objects begin with."""
    return f"{tenant_id}/files/{file_id}/"


def text_key(tenant_id: str, file_id: str) -> str:
    """Key of the clean text that ingestion makes of a file."""
    return f"{tenant_id}/texts/{file_id}.md"


def text_prefix(tenant_id: str, file_id: str) -> str:
    """What the keys of the clean text begin with where a file was read in parts."""
    return f"{tenant_id}/texts/{file_id}/"


def part_text_key(tenant_id: str, file_id: str, content_sha256: str, part: int) -> str:
    """Key of the clean text of one part, from 0, of a file with these bytes."""
    return f"{text_prefix(tenant_id, file_id)}{content_sha256[:16]}/{part:05d}.md"


def _safe(filename: str) -> str:
    path = PurePosixPath(re.sub(r"[^A-Za-z0-9._-]", "_", filename).lstrip("."))
    suffix = path.suffix[:_NAME_LENGTH]
    return f"{path.stem[: _NAME_LENGTH - len(suffix)]}{suffix}" or "file"
