"""Fakes that keep the contracts of the engine and of the outside world, and a real SQLite database.

`make_ctx` stands in for the engine: its `checkpoint()` commits, and the connection opens a transaction by
itself before the first write, so `conn.in_transaction` says whether rows are waiting to be committed.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from phases.tools import (
    Analyzer,
    Annotation,
    Bar,
    Comment,
    Desk,
    Excerpt,
    Post,
    Quote,
    Session,
    SourceItem,
    Tools,
)
from statemachine.contract import RunStopping

NEW_YORK = ZoneInfo("America/New_York")
ROOT = Path(__file__).parents[2]
AS_OF = datetime(2025, 3, 12, 18, 0, tzinfo=UTC)
"""A Wednesday, 14:00 in New York: the exchange is open."""

RUNS_TABLE = """
CREATE TABLE analysis_runs (
  id INTEGER PRIMARY KEY, status TEXT NOT NULL DEFAULT 'running', started_at TEXT, completed_at TEXT
) STRICT;
"""

_READS = re.compile(r"\s*(?:SELECT|PRAGMA|EXPLAIN|VALUES)\b", re.IGNORECASE)
_WRITES = re.compile(r"\b(?:INSERT|UPDATE|DELETE)\b", re.IGNORECASE)
_ENDS = re.compile(r"\s*(?:BEGIN|COMMIT|END|ROLLBACK)\b", re.IGNORECASE)


class PhaseConnection(sqlite3.Connection):
    """Opens a transaction before the first write and refuses to have it begun or ended by SQL."""

    def _before(self, sql: str) -> None:
        assert not _ENDS.match(sql), f"a phase never begins, commits or rolls back: {sql}"
        if not self.in_transaction and not _READS.match(sql) and _WRITES.search(sql):
            super().execute("BEGIN IMMEDIATE")

    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:  # type: ignore[override]  # positional
        self._before(sql)
        return super().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Any]) -> sqlite3.Cursor:  # type: ignore[override]  # positional
        self._before(sql)
        return super().executemany(sql, parameters)

    def __del__(self) -> None:
        """Laws open one an example; Python 3.13 warns of those that nobody closes."""
        self.close()


def open_database(path: str | Path = ":memory:") -> sqlite3.Connection:
    """Return a fresh database with the pipeline's tables beside a minimal `analysis_runs`."""
    conn = sqlite3.connect(path, isolation_level=None, factory=PhaseConnection, check_same_thread=False)
    conn.executescript(RUNS_TABLE + (ROOT / "phases" / "schema.sql").read_text(encoding="utf-8"))
    conn.execute("PRAGMA foreign_keys = ON")
    return conn


class FakeClock:
    """Time that moves only when a test says so."""

    def __init__(self, now: datetime = AS_OF) -> None:
        self._now = now
        self._monotonic = 0.0

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds

    def monotonic(self) -> float:
        return self._monotonic

    def now(self) -> datetime:
        return self._now

    def wait(self, event: threading.Event, timeout_s: float | None) -> bool:
        self.advance(timeout_s or 0.0)
        return event.is_set()


@dataclass
class FakeContext:
    """A `RunContext` whose check points commit, and which can stop at the n-th of them."""

    conn: sqlite3.Connection
    tools: Tools
    run_id: int = 1
    params: dict[str, Any] = field(default_factory=dict)
    clock: FakeClock = field(default_factory=FakeClock)
    stop_at_checkpoint: int | None = None
    deadline: float = 3600.0
    warnings: list[dict[str, Any]] = field(default_factory=list)
    results: dict[str, Any] = field(default_factory=dict)
    checkpoints: int = 0
    steps: list[tuple[int, int | None, str | None]] = field(default_factory=list)

    def remaining_s(self) -> float:
        return max(0.0, self.deadline - self.clock.monotonic())

    def warn(self, type: str, message: str, /, **context: Any) -> None:
        stamp = self.clock.now().isoformat()
        self.warnings.append({"type": type, "message": message, "timestamp": stamp, "context": context})

    def progress(self, current: int, total: int | None = None, unit: str | None = None) -> None:
        self.steps.append((current, total, unit))

    def checkpoint(self) -> None:
        self.conn.commit()
        self.checkpoints += 1
        self.raise_if_stopping()

    def raise_if_stopping(self) -> None:
        if self.stop_at_checkpoint is not None and self.checkpoints >= self.stop_at_checkpoint:
            raise RunStopping

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        return map(function, items)


@dataclass
class FakeSource:
    """Yields what it was given, up to `as_of`, as the contract of `Source` says."""

    items: Sequence[SourceItem] = ()
    name: str = "fake"

    def read(
        self,
        *,
        subreddit: str,  # noqa: ARG002 - the contract's name; a fake has one subreddit
        as_of: datetime,
        progress: Callable[[int, int | None, str], None],
        remaining_s: Callable[[], float] = lambda: 0.0,  # noqa: ARG002 - a fake keeps nobody waiting
    ) -> Iterator[SourceItem]:
        for count, item in enumerate(self.items, start=1):
            progress(count, len(self.items), "item")
            if not isinstance(item, Post | Comment) or item.created_utc <= as_of:
                yield item


def say_nothing(_excerpt: Excerpt) -> Annotation:
    """Answer that a comment names no ticker."""
    return Annotation(
        tickers=(),
        sentiment="neutral",
        sarcasm_detected=False,
        has_reasoning=False,
        confidence=0.5,
        analyzer="fake",
    )


@dataclass
class FakeAnalyzer:
    """Annotates by a plain function and remembers what it was shown."""

    annotate: Callable[[Excerpt], Annotation | None] = say_nothing
    name: str = "fake"
    batch: int = 5
    free_picks: int = 0
    fallback: Analyzer | None = None
    shown: list[Excerpt] = field(default_factory=list)

    def annotate_all(
        self,
        excerpts: Iterable[Excerpt],
        desk: Desk,  # noqa: ARG002 - the contract's name; a fake needs nothing
    ) -> Iterator[Annotation | None]:
        for excerpt in excerpts:
            self.shown.append(excerpt)
            yield self.annotate(excerpt)


@dataclass
class FakePrices:
    """Knows the quotes and bars that a test names; an exception among the quotes is raised."""

    quotes: Mapping[str, Quote | Exception] = field(default_factory=dict)
    history: Mapping[str, Sequence[Bar]] = field(default_factory=dict)
    name: str = "fake"

    def quote(self, ticker: str, at: datetime) -> Quote | None:
        known = self.quotes.get(ticker)
        if isinstance(known, Exception):
            raise known
        return known if known is not None and known.at <= at else None

    def bars(self, ticker: str, after: datetime, until: datetime) -> Sequence[Bar]:
        return [bar for bar in self.history.get(ticker, ()) if bar.start >= after and bar.end <= until]


@dataclass
class FakeCalendar:
    """Weekdays from 9:30 to 16:00 in New York, but for the days named as holidays."""

    holidays: frozenset[date] = frozenset()

    def session(self, day: date) -> Session | None:
        if day.weekday() >= 5 or day in self.holidays:
            return None
        at = (datetime.combine(day, moment, NEW_YORK).astimezone(UTC) for moment in (time(9, 30), time(16)))
        return Session(day, *at)

    def is_open(self, at: datetime) -> bool:
        session = self.session(self.trading_date(at))
        return session is not None and session.opens <= at < session.closes

    def trading_date(self, at: datetime) -> date:
        return at.astimezone(NEW_YORK).date()


def pseudonym(name: str) -> str:
    """Return a stand-in for an author's name, the same at each call."""
    return "u_" + hashlib.sha256(name.encode()).hexdigest()[:16]


def build_tools(**overrides: Any) -> Tools:
    """Return `Tools` made of fakes; `items=` and `annotate=` are short for a fake source and analyser."""
    shortcuts = {"source": ("items", FakeSource), "analyzer": ("annotate", FakeAnalyzer)}
    for name, (short, fake) in shortcuts.items():
        if short in overrides:
            overrides[name] = fake(overrides.pop(short))
    base = Tools(
        as_of=AS_OF,
        subreddit="wallstreetbets",
        source=FakeSource(),
        analyzer=FakeAnalyzer(),
        prices=FakePrices(),
        calendar=FakeCalendar(),
        pseudonym=pseudonym,
    )
    return replace(base, **overrides)


def build_ctx(
    conn: sqlite3.Connection, tools: Tools | None = None, params: dict[str, Any] | None = None, **more: Any
) -> FakeContext:
    """Return a context whose run exists in the database; `more` sets any field of `FakeContext`."""
    ctx = FakeContext(conn=conn, tools=tools or build_tools(), params=params or {}, **more)
    conn.execute("INSERT INTO analysis_runs (id) VALUES (?) ON CONFLICT DO NOTHING", (ctx.run_id,))
    conn.commit()
    return ctx


@dataclass
class Rows:
    """Puts rows where earlier phases would have put them; every column can be set by keyword."""

    conn: sqlite3.Connection

    def insert(self, table: str, **columns: Any) -> int:
        names, marks = ", ".join(columns), ", ".join("?" * len(columns))
        cursor = self.conn.execute(
            f"INSERT INTO {table} ({names}) VALUES ({marks}) RETURNING rowid", tuple(columns.values())
        )
        rowid: int = cursor.fetchone()[0]
        self.conn.commit()
        return rowid

    def run(self, run_id: int = 1) -> int:
        self.conn.execute("INSERT INTO analysis_runs (id) VALUES (?) ON CONFLICT DO NOTHING", (run_id,))
        self.conn.commit()
        return run_id

    def post(self, reddit_id: str = "p1", **columns: Any) -> int:
        defaults = {"title": f"post {reddit_id}", "fetched_at": "2025-03-12T18:00:00.000Z"}
        return self.insert("reddit_posts", **{"reddit_id": reddit_id, **defaults, **columns})

    def author(self, username: str, **columns: Any) -> int:
        seen = {"first_seen": "2025-03-01T00:00:00.000Z", "last_active": "2025-03-12T17:00:00.000Z"}
        return self.insert("authors", **{"username": username, **seen, **columns})

    def comment(
        self, reddit_id: str, *, post_id: int, run_id: int = 1, picked: int = 0, **columns: Any
    ) -> int:
        """Insert a comment and link it to its run; give `sentiment` to have it analysed already."""
        defaults: dict[str, Any] = {
            "author": f"u_{reddit_id}",
            "body": f"body of {reddit_id}",
            "created_utc": "2025-03-12T15:00:00.000Z",
            "score": 1,
        }
        if "sentiment" in columns:
            defaults |= {
                "ai_confidence": 0.7,
                "author_trust_score": 0.5,
                "sarcasm_detected": 0,
                "has_reasoning": 0,
                "analyzer": "fake",
                "analyzed_at": "2025-03-12T18:00:00.000Z",
            }
        comment_id = self.insert(
            "comments",
            **{
                "reddit_id": reddit_id,
                "post_id": post_id,
                "analysis_run_id": self.run(run_id),
                **defaults,
                **columns,
            },
        )
        self.conn.execute(
            "INSERT INTO run_comments (run_id, comment_id, picked, newly_analyzed) VALUES (?, ?, ?, ?)",
            (run_id, comment_id, picked, int("sentiment" in columns)),
        )
        self.conn.commit()
        return comment_id

    def ticker(self, comment_id: int, ticker: str, sentiment: str = "bullish") -> int:
        stamp = "2025-03-12T18:00:00.000Z"
        return self.insert(
            "comment_tickers", comment_id=comment_id, ticker=ticker, sentiment=sentiment, created_at=stamp
        )

    def all(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        return self.conn.execute(sql, parameters).fetchall()


@pytest.fixture
def conn() -> Iterator[sqlite3.Connection]:
    """Return a fresh in-memory database."""
    connection = open_database()
    yield connection
    connection.close()


@pytest.fixture(scope="session")
def new_database() -> Callable[..., sqlite3.Connection]:
    """Return `open_database`, for laws that need a fresh database an example, or a real file."""
    return open_database


@pytest.fixture(scope="session")
def tools() -> Callable[..., Tools]:
    """Return the builder of `Tools`."""
    return build_tools


@pytest.fixture(scope="session")
def new_ctx() -> Callable[..., FakeContext]:
    """Return `new_ctx(conn, tools=None, params=None, run_id=1, ...)`, for laws over fresh databases."""
    return build_ctx


@pytest.fixture
def make_ctx(conn: sqlite3.Connection) -> Callable[..., FakeContext]:
    """Return `make_ctx(tools=None, params=None, conn=conn, run_id=1, ...)`."""

    def make(tools: Tools | None = None, params: dict[str, Any] | None = None, **more: Any) -> FakeContext:
        return build_ctx(more.pop("conn", conn), tools, params, **more)

    return make


@pytest.fixture
def rows(conn: sqlite3.Connection) -> Rows:
    """Return a writer of rows into `conn`."""
    return Rows(conn)
