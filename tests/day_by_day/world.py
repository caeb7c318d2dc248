"""A made-up archive and made-up prices of January 2021, and replays of them in this process."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

from api.cli.root import run
from phases.calendar import ExchangeCalendar

Row = dict[str, Any]
PHRASES = (
    "Loaded up on $GME calls because the last earnings beat was no accident and margins keep improving",
    "I bought GME shares because the balance sheet has no debt left and revenue growth is back",
    "AMD earnings will beat because data center revenue doubled and margins grew by a third this year",
    "Bought AMD calls because server revenue grew 40% last quarter and guidance was raised again",
    "no idea what is going on, lol",
)
"""Two that argue for each share, so that a day's signals need no luck."""
BOOKKEEPING = frozenset(
    {
        # tables
        "analysis_runs", "run_events", "registry_edges", "idempotency_keys", "schema_versions", "replay_plan",
        # columns: when the computer wrote a row
        "created_at", "updated_at", "analyzed_at", "fetched_at",
    }
)  # fmt: skip


def at(day: int, hour: int = 15, minute: int = 0, month: int = 1) -> datetime:
    """Return an instant of 2021, UTC."""
    return datetime(2021, month, day, hour, minute, tzinfo=UTC)


def comment(number: int, made: datetime, body: str = PHRASES[0], **changes: Any) -> Row:
    return {
        "id": f"c{number}",
        "link_id": "t3_p1",
        "parent_id": "t3_p1",
        "author": f"author{number}",
        "body": body,
        "created_utc": int(made.timestamp()),
        "retrieved_on": int(made.timestamp()) + 60,
        "score": number % 7 + 1,
        "subreddit": "wallstreetbets",
        **changes,
    }


def post(number: int, made: datetime, **changes: Any) -> Row:
    return {
        "id": f"p{number}",
        "title": f"Daily discussion {number}",
        "selftext": "",
        "author": f"op{number}",
        "created_utc": int(made.timestamp()),
        "retrieved_on": int(made.timestamp()) + 60,
        "score": 10,
        "num_comments": 5,
        "subreddit": "wallstreetbets",
        **changes,
    }


def conversation(days: Iterable[int] = (13, 14, 15, 16, 17, 18, 19, 20)) -> list[Row]:
    """Return a post and, for each day of January, ten comments around 16:00 UTC."""
    rows = [post(1, at(13, 2))]
    for day in days:
        rows += [
            comment(day * 100 + number, at(day, 16, number), PHRASES[(day + number) % len(PHRASES)])
            for number in range(10)
        ]
    return rows


def prices(symbols: Mapping[str, float], last: date = date(2021, 1, 29)) -> list[str]:
    """Return daily bars from the 4th on, each symbol growing by a share of one a day."""
    lines, calendar = [], ExchangeCalendar()
    for symbol, growth in symbols.items():
        price, day = 100.0, date(2021, 1, 4)
        while day <= last:
            if calendar.session(day):
                close = price * (1 + growth)
                high, low = max(price, close) * 1.01, min(price, close) * 0.99
                lines.append(f"{symbol},{day},{price:.4f},{high:.4f},{low:.4f},{close:.4f},1000")
                price = close
            day += timedelta(days=1)
    return lines


USUAL = {"GME": 0.03, "AMD": -0.04, "SPY": 0.005}


@dataclass(frozen=True)
class World:
    """A folder with an archive and prices; replays write beside them."""

    folder: Path

    @property
    def archive(self) -> Path:
        return self.folder / "archive.ndjson"

    @property
    def csv(self) -> Path:
        return self.folder / "prices.csv"

    def write(self, rows: Sequence[Row], lines: Sequence[str]) -> None:
        self.archive.write_text("".join(json.dumps(row) + "\n" for row in rows))
        self.csv.write_text("\n".join(["symbol,date,open,high,low,close,volume", *lines]) + "\n")

    def command(self, db: Path, start: str = "2021-01-14", end: str = "2021-01-21", *more: str) -> list[str]:
        days = ["--from", start, "--to", end, "--executor", "threads", "--db", str(db)]
        return ["replay", *days, "--source", f"archive:{self.archive}", "--prices", f"csv:{self.csv}", *more]

    def replay(self, name: str = "replay.db", *args: str, **days: str) -> Path:
        """Replay into a database of that name, with the key of pseudonyms that the folder has."""
        db, key = self.folder / name, self.folder / "key"
        if key.exists() and not db.exists():
            shutil.copy(key, f"{db}-key")
        with redirect_stdout(StringIO()):
            code = run(
                self.command(db, days.get("start", "2021-01-14"), days.get("end", "2021-01-21"), *args)
            )
        assert code == 0
        if not key.exists():
            shutil.copy(f"{db}-key", key)
        return db


def dump(db: Path) -> dict[str, list[dict[str, Any]]]:
    """Return every row of every table, without what only says when and how it was written."""
    with closing(sqlite3.connect(db)) as conn:
        conn.row_factory = sqlite3.Row
        names = [name for (name,) in conn.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            name: [
                {column: row[column] for column in row.keys() if column not in BOOKKEEPING}  # noqa: SIM118  # of a Row
                for row in conn.execute(f"SELECT * FROM {name} ORDER BY 1, 2")
            ]
            for name in names
            if name not in BOOKKEEPING
        }


def rows_of(db: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(db)) as conn:
        return conn.execute(sql).fetchall()
