"""How ten live posts with 10,000 comments go through, from a made-up Reddit on loopback.

    .venv/bin/python benchmarks/live.py [--posts 10] [--comments 10000]

Three processes of their own read the same server, twice each, of which the second counts (the server keeps
the answers it has made): bare PRAW, which fetches the same posts, expands the same trees and keeps nothing;
our source alone; and `phaseline analyze`, phase by phase by its own events. Loopback answers at once, so
these are our costs: Reddit itself allows 100 requests a minute, averaged over ten. The ratio is of processor
time, which repeats on a busy machine too; that of worker processes is not in it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.replay.made import SUBREDDIT, MadeReddit, grown, post  # noqa: E402 - see benchmarks/archive.py
from tests.replay.server import serving  # noqa: E402 - the same

AGENT = "linux:phaseline:benchmark (by /u/nobody)"
COLUMNS = ("what", "seconds", "processor s", "x bare PRAW", "requests", "comments", "peak MiB")
HEAD = f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|"


@dataclass(frozen=True)
class Cost:
    """What one part took."""

    what: str
    seconds: float
    cpu_s: float
    peak_mib: float

    def show(self, floor: Cost, requests: object = "", comments: object = "") -> None:
        """Print a row of the table."""
        ratio = f"{self.cpu_s / floor.cpu_s:.2f}"
        cells = (self.what, f"{self.seconds:.2f}", f"{self.cpu_s:.2f}", ratio, requests, comments)
        print("|", " | ".join(map(str, cells)), f"| {self.peak_mib:.0f} |")


def made(posts: int, comments: int) -> MadeReddit:
    """Return a subreddit of the last hours; every other comment answers the post itself."""
    now = int(time.time())
    trees = {
        f"p{number}": [
            {**row, "created_utc": now - 3_600 - at % 3_000}
            for at, row in enumerate(grown(f"p{number}", comments // posts, branching=2))
        ]
        for number in range(posts)
    }
    return MadeReddit(
        trees, [post(name, rows, created_utc=now - 9_000) for name, rows in trees.items()], page=500
    )


def serve(posts: int, comments: int) -> None:
    """Serve until standard input ends; each line of it is answered with the requests since the last one."""
    with serving(made(posts, comments)) as server:
        print(server.url, flush=True)
        for _ in sys.stdin:
            print(len(server.asked), flush=True)
            server.asked.clear()


@contextmanager
def server(posts: int, comments: int) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    command = [
        sys.executable,
        __file__,
        "--only",
        "serve",
        "--posts",
        str(posts),
        "--comments",
        str(comments),
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield process.stdout.readline().strip(), process
        process.stdin.close()


def requests_of(process: subprocess.Popen[str]) -> int:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return int(process.stdout.readline())


def bare(url: str) -> int:
    """Fetch with PRAW alone what our source fetches; return how many comments that were."""
    import praw  # noqa: PLC0415 - it is what is measured

    reddit = praw.Reddit(
        client_id="id",
        client_secret="secret",
        user_agent=AGENT,
        reddit_url=url,
        oauth_url=url,
        check_for_updates=False,
    )
    found = 0
    for submission in reddit.subreddit(SUBREDDIT).hot(limit=10):
        submission.comment_sort = "top"
        submission.comments.replace_more(limit=31)
        found += len(submission.comments.list())
    return found


def source(url: str) -> int:
    """Fetch with our source alone."""
    from phases.sources.reddit import RedditSource  # noqa: PLC0415 - it is what is measured
    from phases.sources.reddit_app import RedditApp  # noqa: PLC0415 - the same
    from phases.tools import Comment  # noqa: PLC0415 - the same
    from statemachine.clock import SystemClock  # noqa: PLC0415 - the same

    app = RedditApp(client_id="id", client_secret="secret", user_agent=AGENT, login_url=url, api_url=url)
    items = RedditSource(app, SystemClock(), lambda: 0.5).read(
        subreddit=SUBREDDIT,
        as_of=datetime.fromtimestamp(time.time(), UTC),
        progress=lambda *_: None,
        remaining_s=lambda: 3_600.0,
    )
    return sum(isinstance(item, Comment) for item in items)


def only(name: str, url: str) -> None:
    start_s, start_cpu_s = time.perf_counter(), time.process_time()
    found = {"bare": bare, "source": source}[name](url)
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps([found, time.perf_counter() - start_s, time.process_time() - start_cpu_s, peak_mib]))


def in_process(name: str, url: str) -> tuple[Cost, int]:
    command = [sys.executable, __file__, "--only", name, "--url", url]
    said = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return Cost(f"{name} alone", *said[1:]), said[0]


WATCHED = """
import resource, sys, time, phases
from statemachine.contract import Phase
def told(function):
    def run(conn, ctx):
        start = time.process_time()
        function(conn, ctx)
        peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print("cost", time.process_time() - start, peak_mib, file=sys.stderr)
    return run
PHASES = [Phase(each.number, each.label, told(each.function)) for each in phases.PHASES]
SCHEMA = phases.SCHEMA
"""


def analyze(url: str, folder: Path) -> tuple[list[Cost], int]:
    """Return what each phase took, with the peak by its end, and how many comments there were."""
    database = folder / f"{time.monotonic_ns()}.db"
    (folder / "watched.py").write_text(WATCHED)
    settings = {
        "PHASELINE_PHASES": "watched:PHASES",
        "PHASELINE_SOURCE": "reddit",
        "PHASELINE_REDDIT_LOGIN_URL": url,
        "PHASELINE_REDDIT_API_URL": url,
        "REDDIT_CLIENT_ID": "id",
        "REDDIT_CLIENT_SECRET": "secret",
        "REDDIT_USER_AGENT": AGENT,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}",
    }
    done = subprocess.run(
        [sys.executable, "-m", "api.cli", "analyze", "--db", str(database)],
        check=True,
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, **settings},
    )
    told = [line.split()[1:] for line in done.stderr.splitlines() if line.startswith("cost ")]
    with sqlite3.connect(database) as conn:
        events = conn.execute("SELECT dest, at FROM run_events ORDER BY seq").fetchall()
        (comments,) = conn.execute("SELECT count(*) FROM comments").fetchone()
    spans = [
        (phase, (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds())
        for (phase, start), (_, end) in pairwise(events)
    ]
    return [Cost(*span, *map(float, cost)) for span, cost in zip(spans, told, strict=True)], comments


def measure(posts: int, comments: int, folder: Path) -> None:
    with server(posts, comments) as (url, process):
        floor: Cost | None = None
        for name in ("bare", "source"):
            in_process(name, url)
            requests_of(process)
            cost, found = in_process(name, url)
            floor = floor or cost
            cost.show(floor, requests_of(process), found)
        assert floor is not None
        analyze(url, folder)
        requests_of(process)
        phases, found = analyze(url, folder)
        asked = requests_of(process)
        for cost in phases:
            cost.show(floor, asked if cost is phases[0] else "")
        total_s, total_cpu_s = sum(each.seconds for each in phases), sum(each.cpu_s for each in phases)
        Cost("whole run", total_s, total_cpu_s, phases[-1].peak_mib).show(floor, asked, found)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--posts", type=int, default=10)
    parser.add_argument("--comments", type=int, default=10_000)
    parser.add_argument("--only", choices=["serve", "bare", "source"], help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.only == "serve":
        serve(asked.posts, asked.comments)
    elif asked.only:
        only(asked.only, asked.url)
    else:
        print(HEAD)
        with tempfile.TemporaryDirectory(prefix="phaseline-") as folder:
            measure(asked.posts, asked.comments, Path(folder))


if __name__ == "__main__":
    main()
