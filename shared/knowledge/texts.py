"""The clean text of a file in a store, which the character ranges of citations count in."""

from dataclasses import dataclass

from shared.aws.objects import Objects
from shared.files.keys import part_text_key, text_key
from shared.postgres.database import Connection

# Between the texts of two parts.
_GAP = "\n\n"


@dataclass(frozen=True)
class _PartText:
    part: int
    start: int
    characters: int


@dataclass(frozen=True, kw_only=True)
class FileText:
    """Where the text of a file is: in one object, or in one for each part that has text."""

    tenant_id: str
    file_id: str
    content_sha256: str = ""
    parts: tuple[_PartText, ...] = ()

    async def read(self, objects: Objects, start: int, length: int) -> tuple[str, bool]:
        """Up to `length` characters from `start`, and whether there are more.

        Raises:
            NotFoundError: The text is gone.
        """
        if not self.parts:
            text = (await objects.get(text_key(self.tenant_id, self.file_id))).decode()
            return text[start : start + length], len(text) > start + length
        end = start + length
        pieces = [
            await self._piece(objects, part, start, end)
            for part in self.parts
            if part.start < end and part.start + part.characters + len(_GAP) > start
        ]
        last = self.parts[-1]
        return "".join(pieces), last.start + last.characters > end

    async def _piece(self, objects: Objects, part: _PartText, start: int, end: int) -> str:
        key = part_text_key(self.tenant_id, self.file_id, self.content_sha256, part.part)
        text = (await objects.get(key)).decode()
        if part is not self.parts[-1]:
            text += _GAP
        return text[max(0, start - part.start) : max(0, end - part.start)]


async def find_text(
    connection: Connection, *, tenant_id: str, vector_store_id: str, file_id: str
) -> FileText:
    """Where the text of the file's live version is, in a transaction of the tenant."""
    cursor = await connection.execute(
        """
        SELECT p.part, p.char_offset AS start, p.characters, plans.content_sha256
        FROM vector_store_files f
        JOIN ingestion_plans plans ON plans.tenant_id = f.tenant_id
            AND plans.vector_store_id = f.vector_store_id AND plans.file_id = f.file_id
            AND plans.version = f.live_version
        JOIN ingestion_parts p ON p.tenant_id = plans.tenant_id AND p.vector_store_id = plans.vector_store_id
            AND p.file_id = plans.file_id AND p.version = plans.version
        WHERE f.tenant_id = %s AND f.vector_store_id = %s AND f.file_id = %s AND p.characters > 0
        ORDER BY p.part
        """,
        (tenant_id, vector_store_id, file_id),
    )
    rows = await cursor.fetchall()
    return FileText(
        tenant_id=tenant_id,
        file_id=file_id,
        content_sha256=rows[0]["content_sha256"] if rows else "",
        parts=tuple(_PartText(row["part"], row["start"], row["characters"]) for row in rows),
    )
