"""The figures as a table, printed and kept in the documentation between two markers."""

from __future__ import annotations

import os
import platform
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.rounds import Figure

BEGIN = "<!-- figures: begin, written by `make bench` -->"
END = "<!-- figures: end -->"
HEAD = "| quantity | ours | floor | over the floor | ratio | target | |\n|---|---|---|---|---|---|---|\n"
SYNCS = 200


def row(figure: Figure) -> str:
    """Return one line of the table: medians of the rounds, their range in brackets."""
    cells = [
        figure.what,
        f"{_range(figure.ours)} {figure.unit}".strip(),
        f"{_range(figure.floor)} {figure.unit}".strip() if figure.floor else "",
        _number(statistics.median(figure.differences)) if figure.floor else "",
        _range(figure.ratios) if figure.ratios else "",
        _target(figure),
        {True: "met", False: "**missed**", None: ""}[figure.is_met],
    ]
    return f"| {' | '.join(cells)} |"


def _range(values: Sequence[float]) -> str:
    middle, low, high = (_number(each) for each in (statistics.median(values), min(values), max(values)))
    return middle if low == high else f"{middle} ({low}-{high})"


def _number(value: float) -> str:
    """Return three significant digits, and no exponent."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _target(figure: Figure) -> str:
    target = figure.target
    if target is None:
        return ""
    sign = "≥" if target.at_least else "≤"
    bound = f"{sign} {_number(target.bound)}"
    return {
        "ratio": f"{bound} x floor",
        "ours": f"{bound} {figure.unit}".strip(),
        "difference": f"{bound} {figure.unit} over the floor",
    }[target.of]


def machine(folder: Path) -> str:
    """Return what the figures depend on, and no path."""
    cores = os.cpu_count()
    return (
        f"{_processor()}, {cores} cores; {platform.system()} {platform.release().split('-')[0]}, "
        f"{_file_system(folder)}, 4 KiB written and synced in {_sync_ms(folder):.2g} ms; "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}; "
        f"load average at the end {os.getloadavg()[0]:.1f}; {time.strftime('%Y-%m-%d', time.gmtime())}."
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _file_system(folder: Path) -> str:
    """Return the type of the file system that the databases were on."""
    try:
        mounts = Path("/proc/mounts").read_text(encoding="utf-8").splitlines()
    except OSError:
        return "unknown file system"
    found = [line.split()[1:3] for line in mounts]
    inside = [(place, kind) for place, kind in found if folder.resolve().is_relative_to(place)]
    return max(inside, key=lambda each: len(each[0]))[1] if inside else "unknown file system"


def _sync_ms(folder: Path) -> float:
    spent: list[float] = []
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        for _ in range(SYNCS):
            began = time.perf_counter()
            os.pwrite(file.fileno(), b"x" * 4096, 0)
            os.fdatasync(file.fileno())
            spent.append((time.perf_counter() - began) * 1e3)
    return statistics.median(spent)


def keep(document: Path, figures: Iterable[Figure], facts: str) -> None:
    """Replace what is between the markers of `document`."""
    before, rest = document.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    table = HEAD + "".join(f"{row(figure)}\n" for figure in figures)
    document.write_text(f"{before}{BEGIN}\n{facts}\n\n{table}{END}{after}", encoding="utf-8")
