"""The tables of docs/accuracy.md, each under its name."""

from __future__ import annotations

import hashlib
import json
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.accuracy import sarcasm, speed, tickers
from benchmarks.accuracy.folds import folds_of, held_out
from benchmarks.accuracy.judges import EMBEDDED, JUDGES, Judge, Learner, Verdict, analyser, verdict
from benchmarks.accuracy.scores import calibration_error, sentiment_figures, share, ticker_figures
from phases.analyzers.opinion import model
from tools.train_stance import MIN_TEXTS, ROOT, TRAINING_SET, WEIGHTS, Example, example_of, load

SPANS = "wsb_ticker_spans_dev.ndjson"
OWN_NAME = "tests/phases/comments.ndjson"
OWN = ROOT / OWN_NAME
SETS = (TRAINING_SET, "surge_stock_500.ndjson")
Examples = Mapping[str, Sequence[Example]]


def tables(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield `(name, table)`, measured on the labelled sets in the folder."""
    examples = {name: load(folder, name) for name in SETS}
    judged = {
        name: {who: _judged(examples, name, TRAINING_SET, learner) for who, learner in JUDGES.items()}
        for name in SETS
    }
    ours = {name: verdicts[EMBEDDED] for name, verdicts in judged.items()}
    yield "sets", "\n".join(_sets(folder, examples))
    yield "sentiment", "\n".join(_sentiment(examples, judged))
    yield "cross", "\n".join(_cross(examples))
    yield "own", "\n".join(_own())
    yield "calibration", "\n".join(_calibration(examples, ours))
    yield "tickers", "\n".join(_tickers(folder, examples))
    yield "sarcasm", "\n".join(_sarcasm(folder))
    yield "speed", "\n".join(_speed(folder, examples))
    yield "weights", _weights()


def _judged(examples: Examples, name: str, taught: str, learner: Learner) -> list[Verdict]:
    """Return the verdicts on one set by what another one taught; of its own, the other folds."""
    found = examples[name]
    if name != taught:
        judge = learner(examples[taught], found)
        return [judge(one) for one in found]
    folds = folds_of([one.text for one in found])

    def learn(fold: int, others: list[Example]) -> Judge:
        return learner(others, [one for one, own in zip(found, folds, strict=True) if own == fold])

    verdicts = dict(held_out(found, folds, learn))
    return [verdicts[index] for index in range(len(found))]


def _sets(folder: Path, examples: Examples) -> Iterator[str]:
    yield "| set | texts | labels | characters a text (median) |"
    yield "|---|---|---|---|"
    for name, found in examples.items():
        chars = _median_chars([one.text for one in found])
        yield f"| `{name}` | {len(found)} | {_labels(one.label for one in found)} | {chars} |"
    spans = _rows(folder / SPANS)
    marked = sum(len(tickers.marked(row)) for row in spans)
    yield f"| `{SPANS}` | {len(spans)} | {marked} symbols | {_median_chars([row['text'] for row in spans])} |"
    own = _rows(OWN)
    chars = _median_chars([row["text"] for row in own])
    yield f"| `{OWN_NAME}` | {len(own)} | {_labels(row['sentiment'] for row in own)} | {chars} |"


def _sentiment(examples: Examples, judged: Mapping[str, Mapping[str, Sequence[Verdict]]]) -> Iterator[str]:
    yield "| set | judge | right | macro F1 | wrong way | coverage |"
    yield "|---|---|---|---|---|---|"
    for name, by_judge in judged.items():
        for judge, verdicts in by_judge.items():
            yield f"| `{name}` | {judge} | {_cells(examples[name], verdicts)} |"


def _cross(examples: Examples) -> Iterator[str]:
    yield "| trained on | judged | right | macro F1 | wrong way | coverage |"
    yield "|---|---|---|---|---|---|"
    for taught, name in product(SETS, SETS):
        where = "other folds of itself" if taught == name else f"`{taught}`"
        yield f"| {where} | `{name}` | {_cells(examples[name], _judged(examples, name, taught, analyser))} |"


def _own() -> Iterator[str]:
    yield "| judge | right | macro F1 | wrong way | coverage |"
    yield "|---|---|---|---|---|"
    found = [example_of({"text": row["text"], "label": row["sentiment"]}) for row in _rows(OWN)]
    for judge in ("VADER", "VADER with our words", "our lexicon, untrained"):
        say = JUDGES[judge]([], found)
        yield f"| {judge} | {_cells(found, [say(one) for one in found])} |"
    shipped = [verdict(one.reading, None, model()) for one in found]
    yield f"| **embedded analyser, as shipped** | {_cells(found, shipped)} |"


def _calibration(examples: Examples, verdicts: Mapping[str, Sequence[Verdict]]) -> Iterator[str]:
    yield "| set | confidence | texts | mean confidence | right |"
    yield "|---|---|---|---|---|"
    for name, found in examples.items():
        told = zip(verdicts[name], found, strict=True)
        sure = [(confidence, sentiment == one.label) for (sentiment, confidence), one in told]
        for low in range(10):
            here = [(how, hit) for how, hit in sure if min(9, int(how * 10)) == low]
            if here:
                mean, hits = (sum(column) / len(here) for column in zip(*here, strict=True))
                span = f"{low / 10:.1f} to {(low + 1) / 10:.1f}"
                yield f"| `{name}` | {span} | {len(here)} | {mean:.2f} | {hits:.2f} |"
        brier = sum((how - hit) ** 2 for how, hit in sure) / len(sure)
        error = calibration_error(*zip(*sure, strict=True))
        yield f"| `{name}` | all | {len(sure)} | calibration error {error:.3f} | Brier score {brier:.3f} |"


def _tickers(folder: Path, examples: Examples) -> Iterator[str]:
    yield "| documents | how | precision | recall | F1 |"
    yield "|---|---|---|---|---|"
    spans = _rows(folder / SPANS)
    gold = [tickers.marked(row) for row in spans]
    found = [tickers.found(row["text"]) for row in spans]
    unlearned = tickers.found_unlearned(spans)
    yield f"| `{SPANS}` | as shipped | {_ticker_cells(found, gold)} |"
    yield f"| `{SPANS}` | lists unlearned | {_ticker_cells(unlearned, gold)} |"
    for source in sorted({row["source"] for row in spans}):
        here = [index for index, row in enumerate(spans) if row["source"] == source]
        cells = _ticker_cells([found[index] for index in here], [gold[index] for index in here])
        yield f"| those from `{source}` ({len(here)}) | as shipped | {cells} |"
    tagged = [tickers.marked(row, tickers.is_cashtag) for row in spans]
    yield f"| `{SPANS}`, cashtags only | as shipped | | {ticker_figures(found, tagged)['recall']} | |"
    own = _rows(OWN)
    cells = _ticker_cells([tickers.found(row["text"]) for row in own], [set(row["tickers"]) for row in own])
    yield f"| `{OWN_NAME}` | as shipped | {cells} |"
    for name, texts in examples.items():
        named = [one for one in texts if one.ticker]
        if named:
            hits = [(one.ticker or "").upper() in tickers.found(one.text) for one in named]
            yield f"| `{name}`, the ticker that each is about | as shipped | | {share(hits)} | |"


def _sarcasm(folder: Path) -> Iterator[str]:
    yield "| judge | F1 of sarcasm |"
    yield "|---|---|"
    for judge, figure in sarcasm.figures(folder):
        yield f"| {judge} | {figure} |"


def _speed(folder: Path, examples: Examples) -> Iterator[str]:
    yield "| texts | number | characters (median) | ours | VADER | ratio (range of rounds) |"
    yield "|---|---|---|---|---|---|"
    for name, found in examples.items():
        yield speed.row(f"`{name}`", [one.text for one in found])
    yield speed.row(f"`{SPANS}`", [row["text"] for row in _rows(folder / SPANS)][:60])


def _weights() -> str:
    data = WEIGHTS.read_bytes()
    return (
        f"`{WEIGHTS.relative_to(ROOT)}`: {len(model().words)} words and pairs of words that stand in at least"
        f" {MIN_TEXTS} texts, {len(model().measures)} measures, {len(data):,} bytes, SHA-256"
        f" `{hashlib.sha256(data).hexdigest()}`."
    )


def _cells(found: Sequence[Example], verdicts: Sequence[Verdict]) -> str:
    said = [sentiment for sentiment, _ in verdicts]
    return " | ".join(map(str, sentiment_figures([one.label for one in found], said).values()))


def _labels(labels: Iterable[str]) -> str:
    return ", ".join(f"{count} {label}" for label, count in Counter(labels).most_common())


def _ticker_cells(found: Sequence[set[str]], gold: Sequence[set[str]]) -> str:
    return " | ".join(map(str, ticker_figures(found, gold).values()))


def _median_chars(texts: Sequence[str]) -> str:
    return f"{statistics.median(map(len, texts)):.0f}"


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
