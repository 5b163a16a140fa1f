"""What a new user sees first: the example documents, ingested by the real road, and a question about them."""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local.components.models import CHAT_MODEL
from local.data_directory import Access
from local.process import ROOT
from local.terminal import Terminal

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from openai.types import VectorStore

STORE = "examples"
QUESTION = "When is the library closed?"

_DOCUMENTS = ROOT / "examples" / "documents"

# Seconds. Ingestion of the examples takes a few; what was interrupted may have to wait for its lease to end.
_INGESTION_TIMEOUT = 600.0
_LOOK_AGAIN = 0.2


@dataclass(frozen=True)
class _Document:
    path: Path
    data: bytes

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


async def prepare(access: Access, terminal: Terminal) -> str:
    """Have the example documents in the vector store `examples`. Those that are there stay.

    Returns:
        The store's id.
    """
    from openai import AsyncOpenAI

    async with AsyncOpenAI(base_url=access.base_url, api_key=access.api_key) as openai:
        store = await _store(openai)
        documents = await asyncio.to_thread(_read_documents)
        missing = await _missing(openai, store.id, documents)
        for document in missing:
            file_id = await _uploaded(openai, document)
            await openai.vector_stores.files.create(
                vector_store_id=store.id, file_id=file_id, attributes={"sha256": document.digest}
            )
        await _ingested(openai, store.id, len(missing), terminal)
        return store.id


async def ask(access: Access, store_id: str, terminal: Terminal) -> None:
    """Stream the answer to `QUESTION` to the terminal, with its citations."""
    from openai import AsyncOpenAI

    terminal.line(f"\n[bold]{QUESTION}[/]")
    annotations: list[Any] = []
    async with AsyncOpenAI(base_url=access.base_url, api_key=access.api_key) as openai:
        stream = await openai.chat.completions.create(
            model=CHAT_MODEL,
            messages=[{"role": "user", "content": QUESTION}],
            temperature=0,
            max_tokens=120,
            stream=True,
            extra_body={"weir": {"knowledge": {"vector_store_ids": [store_id], "max_results": 3}}},
        )
        async for chunk in stream:
            for choice in chunk.choices:
                terminal.stream(choice.delta.content or "")
                annotations += getattr(choice.delta, "annotations", None) or []
    terminal.line()
    for annotation in annotations:
        terminal.quiet(f"  {citation(annotation)}")


def citation(annotation: dict[str, Any]) -> str:
    """One line that says where an answer is from: the file, the place in it, and the words there."""
    place = annotation["weir"]
    page = f"page {place['page']}" if place["page"] else ""
    row = f"row {place['row']}" if place["row"] else ""
    where = " > ".join(part for part in (annotation["filename"], *place["headings"], page, row) if part)
    return f"{where}: \u201c{' '.join(place['quote'].split())}\u201d"


async def _store(openai: "AsyncOpenAI") -> "VectorStore":
    async for store in openai.vector_stores.list():
        if store.name == STORE:
            return store
    return await openai.vector_stores.create(name=STORE)


def _read_documents() -> list[_Document]:
    return [_Document(path, path.read_bytes()) for path in sorted(_DOCUMENTS.iterdir())]


async def _missing(openai: "AsyncOpenAI", store_id: str, documents: Sequence[_Document]) -> list[_Document]:
    attached = openai.vector_stores.files.list(vector_store_id=store_id)
    there = {(file.attributes or {}).get("sha256") async for file in attached if file.status != "failed"}
    return [document for document in documents if document.digest not in there]


async def _uploaded(openai: "AsyncOpenAI", document: _Document) -> str:
    """The file's id. A start that was interrupted may have uploaded it already."""
    async for file in openai.files.list(purpose="assistants"):
        if file.filename == document.path.name and file.bytes == len(document.data):
            return file.id
    upload = (document.path.name, document.data)
    return (await openai.files.create(file=upload, purpose="assistants")).id


async def _ingested(openai: "AsyncOpenAI", store_id: str, added: int, terminal: Terminal) -> None:
    store = await openai.vector_stores.retrieve(store_id)
    total = max(added, store.file_counts.in_progress)
    if total == 0:
        return
    with terminal.counted("documents ingested", total) as counter:
        async with asyncio.timeout(_INGESTION_TIMEOUT):
            while store.file_counts.in_progress:
                await asyncio.sleep(_LOOK_AGAIN)
                store = await openai.vector_stores.retrieve(store_id)
                counter.show(total - store.file_counts.in_progress)
    if store.file_counts.failed:
        await _tell_failures(openai, store_id, terminal)


async def _tell_failures(openai: "AsyncOpenAI", store_id: str, terminal: Terminal) -> None:
    async for file in openai.vector_stores.files.list(vector_store_id=store_id, filter="failed"):
        terminal.problem(f"  {file.id} was not ingested: {file.last_error and file.last_error.message}")
