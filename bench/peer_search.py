"""The keyword legs of two products that search PostgreSQL too, in their own SQL, over the same documents.

R2R: full_text_search in py/core/providers/database/chunks.py. aws-genai-llm-chatbot: query.py in
genai_core/aurora. Both join all words by AND, so that a document which lacks one is not found.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Literal

import psycopg

Peer = Literal["R2R", "aws-genai"]
PEERS: tuple[Peer, ...] = ("R2R", "aws-genai")

_SQL: Mapping[Peer, str] = {
    "R2R": """
        SELECT id FROM documents, websearch_to_tsquery('english', %(text)s) q
        WHERE fts @@ q ORDER BY ts_rank(fts, q, 32) DESC LIMIT 10""",
    "aws-genai": """
        SELECT id FROM documents, plainto_tsquery('english', %(text)s) q
        WHERE fts @@ q ORDER BY ts_rank_cd(fts, q) DESC LIMIT 10""",
}


@asynccontextmanager
async def peer_search(
    owner_url: str, documents: Mapping[str, tuple[str, str]]
) -> AsyncIterator[Callable[[Peer, str], Awaitable[list[str]]]]:
    """Documents as (title, text) by id, in a table that is gone at the end; asks a peer for its best ids."""
    async with await psycopg.AsyncConnection.connect(owner_url, autocommit=True) as connection:
        await connection.execute("CREATE TEMPORARY TABLE documents (id text, fts tsvector)")
        await connection.cursor().executemany(
            "INSERT INTO documents VALUES (%s, to_tsvector('english', %s))",
            [(name, f"{title} {text}") for name, (title, text) in documents.items()],
        )
        await connection.execute("CREATE INDEX ON documents USING gin (fts)")

        async def ask(peer: Peer, text: str) -> list[str]:
            cursor = await connection.execute(_SQL[peer].encode(), {"text": text})
            return [row[0] for row in await cursor.fetchall()]

        yield ask
