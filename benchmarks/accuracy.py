"""How right the embedded analyser is, on human-labelled sets, one row a set.

    .venv/bin/python benchmarks/accuracy.py [FOLDER]

FOLDER holds the sets (see SETS); it lies beside the repository and is never part of it. Sets are reported one
by one, never pooled, because their labels follow different guides. What the columns mean:

    right       share of texts with the right label
    macro F1    mean F1 of the labels that the set knows
    wrong way   of the texts called bullish or bearish, those whose label is the opposite
    opinion     share of texts called bullish or bearish
    majority    what always answering the set's most frequent label gets right
    halves      `right` of even and odd rows: how much of a difference is chance

A set without neutral labels counts each neutral answer as not right.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from phases.analyzers import annotate_text  # noqa: E402 - the repository goes on the path first

DEFAULT_FOLDER = ROOT.parent / "shared" / "data" / "labels"
TICKER_SET = "wsb_ticker_spans_dev.ndjson"
SENTIMENT_SETS = ("wsb_sentiment_dev.ndjson", "surge_stock_500.ndjson")


@dataclass(frozen=True)
class Scores:
    """Counts of a comparison of sets of symbols."""

    hits: int
    false: int
    missed: int

    @property
    def precision(self) -> float:
        """Return the share of what was found that is labelled."""
        return self.hits / max(1, self.hits + self.false)

    @property
    def recall(self) -> float:
        """Return the share of what is labelled that was found."""
        return self.hits / max(1, self.hits + self.missed)

    @property
    def f1(self) -> float:
        """Return the harmonic mean of both."""
        return 2 * self.hits / max(1, 2 * self.hits + self.false + self.missed)


def main() -> int:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_FOLDER
    if not folder.is_dir():
        print(f"there are no labelled sets in {folder}; give the folder that holds them", file=sys.stderr)
        return 2
    report_tickers(rows_of(folder / TICKER_SET))
    print(f"\n{'sentiment':28}{'texts':>6}{'right':>8}{'macro F1':>10}{'wrong way':>11}", end="")
    print(f"{'opinion':>9}{'majority':>10}  halves")
    for name in SENTIMENT_SETS:
        report_sentiment(name, rows_of(folder / name))
    return 0


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def report_tickers(rows: Sequence[dict[str, Any]]) -> None:
    """Compare, document by document, the symbols found with those labelled as tickers."""
    found = [{stance.ticker for stance in annotate_text(row["text"]).tickers} for row in rows]
    gold = [labelled(row, lambda _: True) for row in rows]
    tagged = [labelled(row, lambda text: text.startswith("$")) for row in rows]
    print(f"{'tickers':28}{'texts':>6}{'precision':>11}{'recall':>8}{'F1':>7}{'cashtags':>10}")
    scores, cashtags = compare(found, gold), compare(found, tagged)
    print(
        f"{TICKER_SET:28}{len(rows):6}{scores.precision:11.3f}{scores.recall:8.3f}{scores.f1:7.3f}"
        f"{cashtags.recall:10.3f}"
    )


def labelled(row: dict[str, Any], wanted: Callable[[str], bool]) -> set[str]:
    spans = (span["text"].strip() for span in row["spans"] if span["label"] == "ticker")
    return {symbol(text) for text in spans if wanted(text)}


def symbol(text: str) -> str:
    """Return a labelled span as this project writes symbols: `AMD` for `AMDs`, `BRK.B` for `BRK-B`."""
    bare = text.lstrip("$").rpartition(":")[2].replace("-", ".")
    return bare[:-1] if bare.endswith("s") and bare[:-1].isupper() else bare.upper()


def compare(found: Iterable[set[str]], gold: Iterable[set[str]]) -> Scores:
    pairs = list(zip(found, gold, strict=True))
    return Scores(
        hits=sum(len(have & want) for have, want in pairs),
        false=sum(len(have - want) for have, want in pairs),
        missed=sum(len(want - have) for have, want in pairs),
    )


def report_sentiment(name: str, rows: Sequence[dict[str, Any]]) -> None:
    started = time.process_time()
    said = [stance(row) for row in rows]
    took_us = (time.process_time() - started) / len(rows) * 1e6
    gold = [row["label"] for row in rows]
    opinions = [(want, have) for want, have in zip(gold, said, strict=True) if have != "neutral"]
    wrong_way = sum(want not in {have, "neutral"} for want, have in opinions) / max(1, len(opinions))
    majority = Counter(gold).most_common(1)[0][1] / len(gold)
    halves = [right(gold[start::2], said[start::2]) for start in (0, 1)]
    print(
        f"{name:28}{len(rows):6}{right(gold, said):8.3f}{macro_f1(gold, said):10.3f}{wrong_way:11.3f}"
        f"{len(opinions) / len(rows):9.2f}{majority:10.3f}  {halves[0]:.3f} {halves[1]:.3f}"
        f"  {took_us:.0f} us a text"
    )


def stance(row: dict[str, Any]) -> str:
    """Return the stance on the row's ticker where it names one that was found, else that of the text."""
    annotation = annotate_text(row["text"])
    stances = {one.ticker: one.sentiment for one in annotation.tickers}
    return stances.get(str(row.get("ticker", "")).upper(), annotation.sentiment)


def right(gold: Sequence[str], said: Sequence[str]) -> float:
    return sum(want == have for want, have in zip(gold, said, strict=True)) / len(gold)


def macro_f1(gold: Sequence[str], said: Sequence[str]) -> float:
    scores: list[float] = []
    for label in sorted(set(gold)):
        hits = sum(want == have == label for want, have in zip(gold, said, strict=True))
        scores.append(2 * hits / (gold.count(label) + said.count(label)))
    return sum(scores) / len(scores)


if __name__ == "__main__":
    sys.exit(main())
