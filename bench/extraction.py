"""How well the main content of pages is found: F1 on WCXB by type of page, beside trafilatura alone.

The score is the data set's own, F1 over lower-cased word tokens as multisets, the mean over pages. Half of
the pages were used to fit the table of weights (`bench.fit_extraction`); the others show what it is worth.
Tables and code are compared with those in the true Markdown. Times are of the processor, so that other work
on the machine does not count.

    python -m bench.extraction [--archive PATH] [--processes 2]
"""

import argparse
import re
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing import Pool
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.wcxb import ARCHIVE, Half, TruePage, f1, pages, words

_TABLE_ROW = re.compile(r"^\|(.+)\|\s*$", re.MULTILINE)
_TABLE_RULE = re.compile(r"^[\s|:-]+$")
_FENCE = re.compile(r"^```+[^\n]*\n(.*?)^```+\s*$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")


@dataclass(frozen=True, kw_only=True)
class Score:
    """One page: F1 of each, seconds of each, and of its tables and code (None where the truth has none)."""

    kind: str
    half: Half
    weir: float
    trafilatura: float
    weir_seconds: float
    trafilatura_seconds: float
    weir_tables: float | None
    trafilatura_tables: float | None
    weir_code: float | None
    trafilatura_code: float | None


def score(page: TruePage) -> Score:
    """Read one page both ways."""
    from shared.web.extract import extract

    truth = words(page.text)
    started = time.process_time()
    read = extract(page.html, url=page.url, charset=None, product="WeirBot")
    weir_seconds = time.process_time() - started
    text, trafilatura_seconds = _trafilatura(page, "txt")
    structured = bool(table_rows(page.markdown) or code_lines(page.markdown))
    markdown = _trafilatura(page, "markdown")[0] if structured else ""
    structures = partial(_structure, page.markdown)
    return Score(
        kind=page.kind,
        half=page.half,
        weir=f1(words(read.text), truth),
        trafilatura=f1(words(text), truth),
        weir_seconds=weir_seconds,
        trafilatura_seconds=trafilatura_seconds,
        weir_tables=structures(read.markdown, table_rows),
        trafilatura_tables=structures(markdown, table_rows),
        weir_code=structures(read.markdown, code_lines),
        trafilatura_code=structures(markdown, code_lines),
    )


def _trafilatura(page: TruePage, output: str) -> tuple[str, float]:
    import trafilatura

    from shared.charset.decode import decode

    started = time.process_time()
    text = (
        trafilatura.extract(decode(page.html, markup=True).text, output_format=output, include_comments=False)
        or ""
    )
    return text, time.process_time() - started


def _structure(truth: str, found: str, parts: Callable[[str], list[str]]) -> float | None:
    """F1 over the rows of tables, or the lines of code: one counts when all of it is right."""

    true = parts(truth)
    return f1(Counter(parts(found)), Counter(true)) if true else None


def table_rows(markdown: str) -> list[str]:
    """Each row of each table, its cells' words parted by bars."""
    rows = (row for row in _TABLE_ROW.findall(markdown) if not _TABLE_RULE.match(row))
    return [
        "|".join(" ".join(sorted(words(_LINK.sub(r"\1", cell)))) for cell in row.split("|")) for row in rows
    ]


def _cell(cell: str) -> str:
    return " ".join(sorted(words(_LINK.sub(r"\1", cell)).elements()))


def code_lines(markdown: str) -> list[str]:
    """Each line of each fenced block, without the spaces that writers differ in."""
    lines = (line for block in _FENCE.findall(markdown) for line in block.split("\n"))
    return [" ".join(line.split()) for line in lines if line.strip()]


def _quality(scores: Sequence[Score]) -> Table:
    table = Table("pages", "n", "Weir", "trafilatura", "Weir, held-out half", "trafilatura, held-out half")
    kinds = sorted({one.kind for one in scores})
    for name, chosen in (("all", scores), *((kind, [s for s in scores if s.kind == kind]) for kind in kinds)):
        held = [one for one in chosen if one.half == "held-out"]
        figures = [statistics.mean(values) for values in _both(chosen) + _both(held)]
        table.add_row(name, str(len(chosen)), *(f"{figure:.3f}" for figure in figures))
    return table


def _both(scores: Iterable[Score]) -> list[list[float]]:
    scores = list(scores)
    return [[one.weir for one in scores], [one.trafilatura for one in scores]]


def _structures(scores: Sequence[Score]) -> Table:
    table = Table("in Markdown", "pages", "Weir", "trafilatura")
    pairs = (
        ("rows of tables", [(one.weir_tables, one.trafilatura_tables) for one in scores]),
        ("lines of code", [(one.weir_code, one.trafilatura_code) for one in scores]),
    )
    for name, figures in pairs:
        known = [(ours, theirs) for ours, theirs in figures if ours is not None and theirs is not None]
        means = [statistics.mean(column) for column in zip(*known, strict=True)]
        table.add_row(name, str(len(known)), *(f"{mean:.3f}" for mean in means))
    return table


def _times(scores: Sequence[Score]) -> Table:
    table = Table("ms a page", "mean", "p50", "p95", "max")
    for name, seconds in (
        ("Weir", [one.weir_seconds for one in scores]),
        ("trafilatura", [one.trafilatura_seconds for one in scores]),
    ):
        cuts = statistics.quantiles(seconds, n=20)
        figures = (statistics.mean(seconds), statistics.median(seconds), cuts[-1], max(seconds))
        table.add_row(name, *(f"{1000 * figure:.0f}" for figure in figures))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--archive", type=Path, default=ARCHIVE)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    if not arguments.archive.exists():
        sys.exit(f"{arguments.archive} is not there: nothing can be measured without the data.")
    with Pool(arguments.processes) as pool:
        scores = pool.map(score, pages(arguments.archive), chunksize=8)
    console = Console(width=110)
    for table in (_quality(scores), _structures(scores), _times(scores)):
        console.print(table)


if __name__ == "__main__":
    main()
