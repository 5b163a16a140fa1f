"""What a page was like when it was last kept. Each function runs in a transaction of the tenant.

A page is known as long as its file is there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.types.json import Jsonb

from shared.postgres.database import Connection
from shared.web.answer import Fetched
from shared.web.fetch import Validators
from shared.web.filling import Filled
from shared.web.records import Record

# A page with more links is fetched whole each time.
_LINKS = 1_000

_REMEMBER = """
    INSERT INTO known_pages AS k (tenant_id, url, file_id, final_url, etag, last_modified, content_sha256,
                             title, links, records_sha256, records, checked_at)
    SELECT %(tenant_id)s, %(url)s, file_id, %(final_url)s, %(etag)s, %(last_modified)s, %(sha256)s,
           %(title)s, %(links)s, %(asked)s, %(records)s, %(now)s
    FROM files WHERE file_id = %(file_id)s FOR KEY SHARE
    ON CONFLICT (tenant_id, url) DO UPDATE
    SET file_id = excluded.file_id, final_url = excluded.final_url, etag = excluded.etag,
        last_modified = excluded.last_modified, content_sha256 = excluded.content_sha256,
        title = excluded.title, links = excluded.links, checked_at = excluded.checked_at,
        records = CASE WHEN excluded.records_sha256 IS NULL THEN k.records ELSE excluded.records END,
        records_sha256 = coalesce(excluded.records_sha256, k.records_sha256)"""


@dataclass(frozen=True, kw_only=True)
class KnownPage:
    """A page that was kept.

    `links` are all of it, before any rules; `records`, what a model made of it when it was `asked` last.
    Where its file is not in the store that it is wanted for, it is not `there`, and read as one that is new.
    """

    url: str
    file_id: str
    final_url: str
    etag: str | None
    last_modified: str | None
    content_sha256: str
    title: str | None
    links: tuple[str, ...] = ()
    asked: str | None = None
    records: tuple[Record, ...] | None = None
    there: bool = True

    @property
    def validators(self) -> Validators | None:
        """For a conditional request, if the server gave any."""
        if self.etag is None and self.last_modified is None:
            return None
        return Validators(url=self.final_url, etag=self.etag, last_modified=self.last_modified)


def known_page(
    url: str,
    fetched: Fetched,
    *,
    file_id: str,
    sha256: str,
    title: str | None,
    links: Sequence[str],
    static: bool,
    filled: Filled,
) -> KnownPage:
    """What to remember of a page that was kept now.

    Args:
        static: The answer is the page. Not so where a browser made it: then 304 says nothing.
    """
    conditional = static and len(links) <= _LINKS
    return KnownPage(
        url=url,
        file_id=file_id,
        final_url=fetched.url,
        etag=fetched.etag if conditional else None,
        last_modified=fetched.last_modified if conditional else None,
        content_sha256=sha256,
        title=title,
        links=tuple(links[:_LINKS]),
        asked=None if filled.records is None else filled.asked,
        records=None if filled.asked is None else filled.records,
    )


async def recall(connection: Connection, urls: Sequence[str]) -> dict[str, KnownPage]:
    """What is known of pages, by URL."""
    cursor = await connection.execute("SELECT * FROM known_pages WHERE url = ANY (%s)", (list(urls),))
    return {
        row["url"]: KnownPage(
            url=row["url"],
            file_id=row["file_id"],
            final_url=row["final_url"],
            etag=row["etag"],
            last_modified=row["last_modified"],
            content_sha256=row["content_sha256"],
            title=row["title"],
            links=tuple(row["links"]),
            asked=row["records_sha256"],
            records=None if row["records"] is None else tuple(row["records"]),
        )
        for row in await cursor.fetchall()
    }


async def remember(connection: Connection, tenant_id: str, pages: Sequence[KnownPage], now: datetime) -> None:
    """Note what pages are like; of one without its file, which was deleted meanwhile, nothing."""
    if not pages:
        return
    # In one order everywhere, so that no two of these wait for each other.
    ordered = sorted(pages, key=lambda page: page.url)
    await connection.cursor().executemany(_REMEMBER, [_row(page, tenant_id, now) for page in ordered])


async def forget(connection: Connection, url: str) -> str | None:
    """Forget a page that is gone. The id of its file, if no other page leads to it."""
    cursor = await connection.execute("DELETE FROM known_pages WHERE url = %s RETURNING file_id", (url,))
    if (row := await cursor.fetchone()) is None:
        return None
    file_id: str = row["file_id"]
    cursor = await connection.execute("SELECT 1 FROM known_pages WHERE file_id = %s LIMIT 1", (file_id,))
    return file_id if await cursor.fetchone() is None else None


def _row(page: KnownPage, tenant_id: str, now: datetime) -> dict[str, object]:
    return {
        "tenant_id": tenant_id,
        "url": page.url,
        "file_id": page.file_id,
        "final_url": page.final_url,
        "etag": page.etag,
        "last_modified": page.last_modified,
        "sha256": page.content_sha256,
        "title": page.title,
        "links": list(page.links),
        "asked": page.asked,
        "records": None if page.records is None else Jsonb(list(page.records)),
        "now": now,
    }
