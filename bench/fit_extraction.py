"""Fits the table by which a page's pieces are chosen, on the tuning half of WCXB alone.

Each piece is labelled by whether the page's true content has it, and weighs as much as its share of that. The
second model learns from first judgements of pages that the first had not seen (five folds), since that is
what it will get. Takes some minutes.

    python -m bench.fit_extraction [--write]
"""

import argparse
import hashlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path

import numpy as np

from bench.wcxb import ARCHIVE, TruePage, f1, pages, words
from shared.charset.decode import decode
from shared.web.extraction.choose import best_expected, chances
from shared.web.extraction.containers import Numbers
from shared.web.extraction.content import read_page
from shared.web.extraction.features import first_columns
from shared.web.extraction.overlap import shares_within
from shared.web.extraction.reading import Column, Reading
from shared.web.extraction.smoothing import second_columns

TABLE = Path(__file__).resolve().parent.parent / "shared" / "web" / "extraction" / "weights.py"
FOLDS = 5
# Of the weights' squares, with columns scaled to 1: of little effect on columns that matter.
RIDGE = 1.0

Weights = dict[str, float]


@dataclass(frozen=True)
class Example:
    """A page: what is known of its pieces, whether each belongs, and how much each matters."""

    page: TruePage
    reading: Reading
    columns: tuple[Column, ...]
    labels: Numbers
    importance: Numbers

    @property
    def fold(self) -> int:
        return hashlib.sha1(self.page.id.encode()).digest()[1] % FOLDS

    def score(self, chances: Numbers) -> float:
        """F1 of the page with these chances."""
        kept = compress(self.reading.pieces, best_expected(chances, self.reading.words))
        return f1(words("\n".join(piece.text for piece in kept)), words(self.page.text))


def read_examples() -> Iterator[Example]:
    """The pages of the tuning half that have a text."""
    from trafilatura import load_html

    for page in pages():
        tree = load_html(decode(page.html, markup=True).text) if page.half == "tuning" and page.text else None
        if tree is not None:
            tree.make_links_absolute(page.url, resolve_base_href=False, handle_failures="ignore")
            reading = read_page(tree)
            if reading.pieces:
                yield _example(page, reading)


def _example(page: TruePage, reading: Reading) -> Example:
    labels = np.array(shares_within(reading.pieces, page.text)) > 0.5
    importance = np.minimum(reading.words / max(words(page.text).total(), 50), 0.5) + 0.001
    return Example(page, reading, tuple(first_columns(reading)), labels.astype(np.float64), importance)


def fit(examples: Sequence[Example], columns: Sequence[Sequence[Column]], ridge: float = RIDGE) -> Weights:
    """Logistic regression with a ridge penalty, by Newton's method."""
    names = [name for name, _ in columns[0]]
    table = np.concatenate([np.column_stack([values for _, values in page]) for page in columns]).astype(
        np.float64
    )
    mean, scale = table.mean(axis=0), table.std(axis=0) + 1e-3
    table = np.column_stack([(table - mean) / scale, np.ones(len(table))])
    labels = np.concatenate([example.labels for example in examples])
    importance = np.concatenate([example.importance for example in examples])
    importance *= len(examples) / importance.sum()
    penalty = np.full(table.shape[1], ridge)
    penalty[-1] = 1e-6
    weights = np.zeros(table.shape[1])
    for _ in range(8):
        likely = 1 / (1 + np.exp(-np.clip(table @ weights, -30, 30)))
        slope = table.T @ (importance * (likely - labels)) + penalty * weights
        curve = (table * (importance * likely * (1 - likely))[:, None]).T @ table + np.diag(penalty)
        step = np.linalg.solve(curve, slope)
        weights -= step
        if np.abs(step).max() < 1e-4:
            break
    plain = weights[:-1] / scale
    constant = float(weights[-1] - plain @ mean)
    return {**{name: float(weight) for name, weight in zip(names, plain, strict=True)}, "constant": constant}


def fit_both(examples: Sequence[Example]) -> tuple[Weights, Weights]:
    """The two models. Prints what they score on pages of the tuning half that they have not seen."""
    unseen = dict(_across_folds(examples, {example.page.id: example.columns for example in examples}))
    _report("first, unseen", unseen, examples)
    columns = {
        example.page.id: (*example.columns, *second_columns(example.reading, unseen[example.page.id]))
        for example in examples
    }
    _report("both, unseen", dict(_across_folds(examples, columns)), examples)
    first = fit(examples, [example.columns for example in examples])
    return first, fit(examples, [columns[example.page.id] for example in examples])


def _across_folds(
    examples: Sequence[Example], columns: Mapping[str, Sequence[Column]]
) -> Iterator[tuple[str, Numbers]]:
    """Each page with the chances of its pieces, by a model that has not seen it."""
    for fold in range(FOLDS):
        others = [example for example in examples if example.fold != fold]
        weights = fit(others, [columns[example.page.id] for example in others])
        for example in examples:
            if example.fold == fold:
                yield example.page.id, chances(columns[example.page.id], weights)


def _report(name: str, judged: Mapping[str, Numbers], examples: Sequence[Example]) -> None:
    scores = [(example.page.kind, example.score(judged[example.page.id])) for example in examples]
    print(f"{name}: F1 {np.mean([score for _, score in scores]):.4f}")
    for kind in sorted({kind for kind, _ in scores}):
        print(f"  {kind}: {np.mean([score for other, score in scores if other == kind]):.4f}")


def table(first: Weights, second: Weights) -> str:
    """The weights as a Python module."""
    parts = [
        '"""Made by bench/fit_extraction.py from the tuning half of WCXB; not edited by hand."""',
        "",
        "from typing import Final",
    ]
    for name, weights in (("FIRST", first), ("SECOND", second)):
        rows = [f'    "{column}": {weight:.4g},' for column, weight in weights.items()]
        parts += ["", f"{name}: Final[dict[str, float]] = {{", *rows, "}"]
    return "\n".join(parts) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help=f"write {TABLE.name}")
    arguments = parser.parse_args()
    if not ARCHIVE.exists():
        sys.exit(f"{ARCHIVE} is not there: nothing can be fitted without the data.")
    first, second = fit_both(list(read_examples()))
    if arguments.write:
        TABLE.write_text(table(first, second))


if __name__ == "__main__":
    main()
