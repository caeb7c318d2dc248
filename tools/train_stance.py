"""Train the weights of the embedded analyser, phases/analyzers/opinion.tsv, from labelled texts.

    make train            # or: .venv/bin/python -m tools.train_stance [FOLDER] [--check]

FOLDER holds the labelled sets; it lies beside the repository and is never part of it. scikit-learn comes with
the dependency group `train` and is used here only: what ships scores in plain Python.

The model is a logistic regression over what the lexicon says of a text and over its words, alone and in
pairs. A word is learned only if it stands in at least MIN_TEXTS texts, so nothing of a text can be rebuilt
from the weights; symbols, figures, addresses and names of users are replaced or left out (see features.py).
With --check nothing is written: it fails where the file would change.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from phases.analyzers.features import measures, words
from phases.analyzers.opinion import INTERCEPT, WEIGHTS_FILE, Logits, Model
from phases.analyzers.phrases import Lexicon
from phases.analyzers.reading import Reading, read

ROOT: Final = Path(__file__).parents[1]
DEFAULT_FOLDER: Final = ROOT.parent / "shared" / "data" / "labels"
WEIGHTS: Final = ROOT / "phases" / "analyzers" / WEIGHTS_FILE
TRAINING_SET: Final = "wsb_sentiment_dev.ndjson"
"""Comments of the forum. A second set, of tweets, taught nothing that held on other texts, and stays out."""

MIN_TEXTS: Final = 8
INVERSE_PENALTY: Final = 1.0
"""Of the squares of the weights (C of scikit-learn)."""
DECIMALS: Final = 4
LABELS: Final = ("bearish", "bullish", "neutral")


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One labelled text as the model sees it."""

    text: str
    reading: Reading
    label: str
    ticker: str | None
    """The symbol that the label is about, where the set says so."""
    measures: Mapping[str, float]
    words: frozenset[str]


def load(folder: Path, set_name: str, phrases: Lexicon | None = None) -> list[Example]:
    """Return the examples of one set, in its order, as the shipped lexicon or another one reads them."""
    lines = (folder / set_name).read_text(encoding="utf-8").splitlines()
    return [example_of(json.loads(line), phrases) for line in lines]


def example_of(row: Mapping[str, Any], phrases: Lexicon | None = None) -> Example:
    """Return a row of a set (text, label, perhaps ticker) as an example."""
    reading = read(row["text"], phrases=phrases)
    return Example(
        text=row["text"],
        reading=reading,
        label=row["label"],
        ticker=row.get("ticker"),
        measures=measures(reading, reading.cues),
        words=words(reading),
    )


def fit(examples: Sequence[Example]) -> Model:
    """Return the model that the examples teach; the same examples in the same order teach the same."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - belongs to the group `train` only

    counts = Counter(word for example in examples for word in example.words)
    vocabulary = sorted(word for word, count in counts.items() if count >= MIN_TEXTS)
    names = list(examples[0].measures)
    regression = LogisticRegression(C=INVERSE_PENALTY, max_iter=5_000, tol=1e-7).fit(
        _matrix(examples, names, vocabulary), [LABELS.index(example.label) for example in examples]
    )
    return _model(regression, names, vocabulary)


def _matrix(examples: Sequence[Example], names: Sequence[str], vocabulary: Sequence[str]) -> Any:
    """Return a sparse matrix with a column for each measure and each word."""
    from scipy.sparse import csr_matrix  # noqa: PLC0415 - belongs to the group `train` only

    column = {word: len(names) + index for index, word in enumerate(vocabulary)}
    cells: list[tuple[float, int, int]] = []
    for row, example in enumerate(examples):
        known = sorted(column[word] for word in example.words if word in column)
        cells += [(example.measures[name], row, index) for index, name in enumerate(names)]
        cells += [(len(known) ** -0.5, row, index) for index in known]
    values, rows, columns = zip(*cells, strict=True)
    width = len(names) + len(vocabulary)
    return csr_matrix((values, (rows, columns)), shape=(len(examples), width))


def _model(regression: Any, names: Sequence[str], vocabulary: Sequence[str]) -> Model:
    bearish, bullish = _against_neutral(regression.coef_)
    first, second = _against_neutral(regression.intercept_)
    logits = [Logits(float(left), float(right)) for left, right in zip(bearish, bullish, strict=True)]
    return Model(
        intercept=Logits(float(first), float(second)),
        measures=dict(zip(names, logits, strict=False)),
        words=dict(zip(vocabulary, logits[len(names) :], strict=False)),
    )


def _against_neutral(weights: Any) -> tuple[Any, Any]:
    """Return the rows of bearish and bullish; a set of two labels is known by one row, which is bullish's."""
    if len(weights) == len(LABELS):
        return weights[0] - weights[2], weights[1] - weights[2]
    return -weights[0] / 2, weights[0] / 2


def written(model: Model) -> str:
    """Return the weights as the text of the file: one line a feature, its weights for bearish and bullish."""
    head = "# Written by tools/train_stance.py: kind, feature, weight for bearish, weight for bullish.\n"
    rows = [
        ("measure", INTERCEPT, model.intercept),
        *(("measure", name, model.measures[name]) for name in model.measures),
        *(("word", word, model.words[word]) for word in sorted(model.words)),
    ]
    return head + "".join(
        f"{kind}\t{name}\t{_number(one.bearish)}\t{_number(one.bullish)}\n" for kind, name, one in rows
    )


def _number(weight: float) -> str:
    return f"{round(weight, DECIMALS) + 0.0:.{DECIMALS}f}"


def main() -> int:
    """Train, and write the weights or compare them."""
    parser = argparse.ArgumentParser(prog="python -m tools.train_stance")
    parser.add_argument("folder", nargs="?", type=Path, default=DEFAULT_FOLDER)
    parser.add_argument("--check", action="store_true", help="compare the file instead of writing it")
    asked = parser.parse_args()
    if not (asked.folder / TRAINING_SET).is_file():
        parser.error(f"there is no {TRAINING_SET} in {asked.folder}; give the folder that holds it")
    text = written(fit(load(asked.folder, TRAINING_SET)))
    if not asked.check:
        WEIGHTS.write_text(text, encoding="utf-8")
    elif text != WEIGHTS.read_text(encoding="utf-8"):
        sys.stderr.write(f"{WEIGHTS.name} is not what these texts teach; run make train\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
