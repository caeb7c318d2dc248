"""How ten live posts with 10,000 comments go through, from a made-up Reddit on loopback.

    .venv/bin/python benchmarks/live.py [--posts 10] [--comments 10000]

Three processes of their own read the same server, twice each, of which the second counts (the server keeps
the answers it has made): bare PRAW, which fetches the same posts, expands the same trees and keeps nothing;
our source alone; and `phaseline analyze`, phase by phase by its own events. Loopback answers at once, so
these are our costs: Reddit itself allows 100 requests a minute, averaged over ten.
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
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.replay.made import SUBREDDIT, MadeReddit, grown, post  # noqa: E402 - see benchmarks/archive.py
from tests.replay.server import serving  # noqa: E402 - the same

AGENT = "linux:phaseline:benchmark (by /u/nobody)"
HEAD = "| what | seconds | x bare PRAW | requests | comments | peak MiB |\n|---|---|---|---|---|---|"


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
    start = time.perf_counter()
    found = {"bare": bare, "source": source}[name](url)
    print(json.dumps([time.perf_counter() - start, found, peak_mib()]))


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def in_process(name: str, url: str) -> tuple[float, int, float]:
    command = [sys.executable, __file__, "--only", name, "--url", url]
    said = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return float(said[0]), int(said[1]), float(said[2])


PEAKS = """
import resource, sys, phases
from statemachine.contract import Phase
def told(function):
    def run(conn, ctx):
        function(conn, ctx)
        print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, file=sys.stderr)
    return run
PHASES = [Phase(each.number, each.label, told(each.function)) for each in phases.PHASES]
SCHEMA = phases.SCHEMA
"""


def analyze(url: str, folder: Path) -> tuple[list[tuple[str, float, float]], int]:
    """Return each phase with its seconds and the peak in MiB by its end, and how many comments there were."""
    database = folder / f"{time.monotonic_ns()}.db"
    (folder / "watched.py").write_text(PEAKS)
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
    peaks = [float(line.split()[1]) for line in done.stderr.splitlines() if line.startswith("peak ")]
    with sqlite3.connect(database) as conn:
        events = conn.execute("SELECT dest, at FROM run_events ORDER BY seq").fetchall()
        (comments,) = conn.execute("SELECT count(*) FROM comments").fetchone()
    spans = [
        (phase, (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds())
        for (phase, start), (_, end) in pairwise(events)
    ]
    return [(phase, seconds, peak) for (phase, seconds), peak in zip(spans, peaks, strict=True)], comments


def measure(posts: int, comments: int, folder: Path) -> None:
    with server(posts, comments) as (url, process):
        floor_s = 0.0
        for name in ("bare", "source"):
            in_process(name, url)
            requests_of(process)
            seconds, found, peak = in_process(name, url)
            floor_s = floor_s or seconds
            show(f"{name} alone", seconds, floor_s, requests_of(process), found, peak)
        analyze(url, folder)
        requests_of(process)
        spans, found = analyze(url, folder)
        asked = requests_of(process)
        for phase, seconds, peak in spans:
            show(phase, seconds, floor_s, asked if phase == spans[0][0] else "", "", peak)
        show("whole run", sum(span[1] for span in spans), floor_s, asked, found, spans[-1][2])


def show(what: str, seconds: float, floor_s: float, asked: object, found: object, peak: float) -> None:
    print(f"| {what} | {seconds:.2f} | {seconds / floor_s:.2f} | {asked} | {found} | {peak:.0f} |")


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
