from dataclasses import replace

from shared.knowledge.passage import Passage

PASSAGE = Passage(
    vector_store_id="vs_1",
    file_id="file-1",
    filename="manual.md",
    source_url=None,
    attributes={},
    score=0.5,
    text="",
    headings=("Manual",),
    page_first=None,
    page_last=None,
    row_first=None,
    row_last=None,
    char_start=0,
    char_end=0,
)


def passage(text: str, *, start: int = 0, **changes: object) -> Passage:
    return replace(PASSAGE, text=text, char_start=start, char_end=start + len(text), **changes)
