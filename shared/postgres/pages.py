"""Lists by cursor, as OpenAI's: `after` and `before` are ids, and ids sort by age."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, LiteralString, TypeVar

from psycopg import sql
from psycopg.rows import DictRow

from shared.postgres.database import Connection

T = TypeVar("T")

Order = Literal["asc", "desc"]


@dataclass(frozen=True, kw_only=True)
class PageRequest:
    """Which part of a list is wanted: at most `limit` items after one id, before another, or both.

    The ids need not exist any more, so that a caller may delete items while it goes through the pages.
    """

    limit: int = 20
    order: Order = "desc"
    after: str | None = None
    before: str | None = None


@dataclass(frozen=True)
class Page(Generic[T]):
    """Part of a list. `has_more` says that the list goes on in the direction that was asked for."""

    items: tuple[T, ...]
    has_more: bool


async def fetch_page(
    connection: Connection,
    select: LiteralString,
    *,
    id_column: LiteralString,
    request: PageRequest,
    parameters: Mapping[str, Any],
    make: Callable[[DictRow], T],
) -> Page[T]:
    """Run `select`, which ends in its `WHERE` clause, for one page.

    Args:
        id_column: Unique within the selection, and sorted by age.
        parameters: For the `%(name)s` of `select`; `after`, `before` and `limit` are taken.
    """
    backwards = request.before is not None and request.after is None
    ascending = (request.order == "asc") is not backwards
    statement = sql.SQL(select) + _bounds(sql.SQL(id_column), request, ascending=ascending)
    cursor = await connection.execute(
        statement,
        {**parameters, "after": request.after, "before": request.before, "limit": request.limit + 1},
    )
    rows = await cursor.fetchall()
    kept = rows[: request.limit]
    return Page(tuple(make(row) for row in (reversed(kept) if backwards else kept)), len(rows) > len(kept))


def _bounds(column: sql.SQL, request: PageRequest, *, ascending: bool) -> sql.Composed:
    older, newer = sql.SQL("<"), sql.SQL(">")
    past, ahead = (newer, older) if request.order == "asc" else (older, newer)
    parts = []
    if request.after is not None:
        parts.append(sql.SQL(" AND {} {} %(after)s").format(column, past))
    if request.before is not None:
        parts.append(sql.SQL(" AND {} {} %(before)s").format(column, ahead))
    direction = sql.SQL("ASC" if ascending else "DESC")
    parts.append(sql.SQL(" ORDER BY {} {} LIMIT %(limit)s").format(column, direction))
    return sql.Composed(parts)
