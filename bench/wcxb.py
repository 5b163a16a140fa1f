"""WCXB: web pages with what a reader would call their content.

By Murrough Foley, https://github.com/Murrough-Foley/web-content-extraction-benchmark, CC BY 4.0. The data
lies outside the project, in `../shared/data/extraction/wcxb-dev.tar.gz`.
"""

import gzip
import hashlib
import json
import re
import tarfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ARCHIVE = Path(__file__).resolve().parent.parent.parent / "shared/data/extraction/wcxb-dev.tar.gz"

Half = Literal["tuning", "held-out"]
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, kw_only=True)
class TruePage:
    """A page with its true content, as text and, for most, as Markdown."""

    id: str
    kind: str
    url: str
    html: bytes
    text: str
    markdown: str

    @property
    def half(self) -> Half:
        """Half the pages, by a hash of their ids, are for fitting; nothing is ever fitted on the others."""
        return "tuning" if hashlib.sha1(self.id.encode()).digest()[0] % 2 == 0 else "held-out"


def pages(archive: Path = ARCHIVE) -> Iterator[TruePage]:
    """All pages of the development half, in order of id."""
    files: dict[str, bytes] = {}
    with tarfile.open(archive) as tar:
        for member in tar:  # in the archive's order: it cannot be read from the middle
            file = tar.extractfile(member)
            if file is not None:
                files[Path(member.name).name] = file.read()
    for name in sorted(files):
        page = f"{name.removesuffix('.json')}.html.gz"
        if name.endswith(".json") and page in files:
            yield _page(name.removesuffix(".json"), files[name], files[page])


def _page(name: str, described: bytes, html: bytes) -> TruePage:
    about = json.loads(described)
    truth = about["ground_truth"]
    return TruePage(
        id=name,
        kind=about["_internal"]["page_type"]["primary"],
        url=about.get("url") or "https://example.com/",
        html=gzip.decompress(html),
        text=truth.get("main_content") or "",
        markdown=truth.get("main_content_markdown") or "",
    )


def words(text: str) -> Counter[str]:
    return Counter(_WORD.findall(text.lower()))


def f1(found: Counter[str], true: Counter[str]) -> float:
    r"""F1 over lower-cased `\w+` tokens as multisets, as the data set scores."""
    total = found.total() + true.total()
    return 2 * (found & true).total() / total if total else 1.0
