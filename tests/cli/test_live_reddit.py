"""A whole run on live Reddit: the command line, every phase and the real client, with Reddit on loopback."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.settings import load
from tests.api.world import until_idle
from tests.cli.conftest import Phaseline
from tests.replay.made import MadeReddit, Row, comment, grown, post
from tests.replay.recordings import TOKEN_PATH
from tests.replay.server import Answer, Answering, Asked, serving

SECRET = "canary-of-reddit"
DB = Path("runs.sqlite")


@pytest.fixture(autouse=True)
def _live(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PHASELINE_AS_OF")
    settings = {
        "PHASELINE_PHASES": "phases:PHASES",
        "PHASELINE_EXECUTOR": "threads",
        "PHASELINE_SOURCE": "reddit",
        "PHASELINE_DB": str(DB),
        "REDDIT_CLIENT_ID": "an-id",
        "REDDIT_CLIENT_SECRET": SECRET,
        "REDDIT_USER_AGENT": "linux:phaseline:v0 (by /u/nobody)",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def point_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let the settings say that Reddit is at an address."""

    def point(url: str) -> None:
        monkeypatch.setenv("PHASELINE_REDDIT_LOGIN_URL", url)
        monkeypatch.setenv("PHASELINE_REDDIT_API_URL", url)

    return point


def of_today(rows: Sequence[Row]) -> list[Row]:
    """Return rows made in the minutes before now."""
    now = int(time.time())
    return [{**row, "created_utc": now - 600 + number % 500} for number, row in enumerate(rows)]


def day(posts: int, comments: int, **options: Any) -> MadeReddit:
    trees = {f"p{number}": of_today(grown(f"p{number}", comments)) for number in range(posts)}
    return MadeReddit(trees, of_today([post(name, rows) for name, rows in trees.items()]), **options)


def query(sql: str) -> list[Any]:
    with closing(sqlite3.connect(DB)) as conn:
        return conn.execute(sql).fetchall()


def last_run(phaseline: Phaseline) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(phaseline("show", "last", "--json")[1])
    return found


@pytest.mark.slow
def test_ten_posts_with_their_comments_go_through_every_phase(
    phaseline: Phaseline, point_at: Callable[[str], None]
) -> None:
    with serving(day(10, 40, page=25)) as server:
        point_at(server.url)
        code, _, said = phaseline("analyze")

    assert code == 0, said
    run = last_run(phaseline)
    assert run["status"] == "completed"
    assert (run["results"]["posts"], run["results"]["comments"], run["results"]["skipped"]) == (10, 400, {})
    assert query("SELECT count(*), count(body), max(depth) > 0 FROM comments") == [(400, 400, 1)]
    assert query("SELECT count(*) FROM comments WHERE analyzed_at IS NOT NULL") != [(0,)]
    assert query("SELECT DISTINCT ticker FROM comment_tickers") == [("GME",)]
    assert query("SELECT count(*) FROM comments WHERE score > 1") != [(0,)]
    assert query("SELECT count(*) FROM signals") != [(0,)]
    assert not [row for (row,) in query("SELECT author FROM comments") if row.startswith("author")]


def test_one_post_is_one_commit(phaseline: Phaseline, point_at: Callable[[str], None]) -> None:
    made = day(3, 6)

    def failing(asked: Asked) -> Answer:
        return Answer({}, 418) if asked.path == "/comments/p2/" else made(asked)

    stored: list[int] = []

    def watching(asked: Asked) -> Answer:
        if asked.path.startswith("/comments/"):
            stored.append(query("SELECT count(*) FROM comments")[0][0])
        return failing(asked)

    with serving(watching) as server:
        point_at(server.url)
        code, _, _ = phaseline("analyze")

    assert code == 0
    assert stored == [0, 6, 12]
    (warning,) = [each for each in last_run(phaseline)["warnings"] if each["type"] == "source_items_skipped"]
    assert warning["context"]["reasons"] == {"post_refused": 1}


def test_a_partial_fetch_is_a_warning_with_counts(
    phaseline: Phaseline, point_at: Callable[[str], None]
) -> None:
    made = day(2, 30, page=10)

    def refusing(asked: Asked) -> Answer:
        return Answer({}, 413) if asked.path == "/api/morechildren/" else made(asked)

    with serving(refusing) as server:
        point_at(server.url)
        phaseline("analyze")

    run = last_run(phaseline)
    (warning,) = [each for each in run["warnings"] if each["type"] == "reddit_fetch_partial"]
    assert run["results"]["comments_left"] == warning["context"]["comments_left"] == 40
    assert warning["context"]["posts"]["p0"] == {"comments_left": 20, "reason": "refused"}


def test_what_its_author_deletes_is_gone_after_the_next_run(
    phaseline: Phaseline, point_at: Callable[[str], None]
) -> None:
    first = of_today([comment(number, "p0") for number in range(4)])
    gone = [{**first[0], "body": "[deleted]", "author": "[deleted]"}, *first[1:]]

    for rows in (first, gone):
        with serving(MadeReddit({"p0": rows}, of_today([post("p0", rows)]))) as server:
            point_at(server.url)
            assert phaseline("analyze")[0] == 0

    found = dict(query("SELECT reddit_id, body FROM comments"))
    assert found["p0c0"] is None
    assert sum(body is not None for body in found.values()) == 3


@pytest.mark.parametrize(
    ("path", "answer", "said"),
    [
        (TOKEN_PATH, Answer({"error": 401}, 401), "doesn't accept the application's credentials"),
        ("/r/wallstreetbets/hot", Answer({"reason": "private"}, 403), "r/wallstreetbets is private"),
        ("/r/wallstreetbets/hot", Answer({"data": {"children": []}}), "has no comment of r/wallstreetbets"),
    ],
)
def test_a_failure_is_one_sentence_and_no_secret(
    phaseline: Phaseline, point_at: Callable[[str], None], path: str, answer: Answer, said: str
) -> None:
    made = day(1, 3)

    with serving(lambda asked: answer if asked.path == path else made(asked)) as server:
        point_at(server.url)
        code, out, err = phaseline("analyze")

    assert code == 1
    assert said in out + err
    assert said in last_run(phaseline)["error_message"]
    assert SECRET not in out + err
    assert SECRET.encode() not in DB.read_bytes()


def test_missing_credentials_are_said_before_a_run_begins(
    phaseline: Phaseline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REDDIT_CLIENT_SECRET")

    code, _, err = phaseline("analyze")

    assert code == 2
    assert "REDDIT_CLIENT_SECRET" in err
    assert json.loads(phaseline("runs", "--json")[1]) == []


@pytest.mark.parametrize(
    ("missing", "grade", "said"),
    [
        ("REDDIT_CLIENT_ID", "fail", "make one of the type script"),
        ("REDDIT_USER_AGENT", "warn", "Reddit's rule"),
        (None, "ok", "an-id"),
    ],
)
def test_the_doctor_says_whether_reddit_can_be_tried(
    phaseline: Phaseline, monkeypatch: pytest.MonkeyPatch, missing: str | None, grade: str, said: str
) -> None:
    if missing is not None:
        monkeypatch.delenv(missing)

    found = {each["check"]: each for each in json.loads(phaseline("doctor", "--json")[1])}

    assert found["reddit"]["grade"] == grade
    assert said in found["reddit"]["said"]
    assert SECRET not in found["reddit"]["said"]


@pytest.mark.slow
def test_a_run_that_waits_for_reddit_can_be_cancelled(point_at: Callable[[str], None]) -> None:
    asked_for = threading.Event()

    def busy(asked: Asked) -> Answer:
        if asked.path == TOKEN_PATH:
            return day(1, 1)(asked)
        asked_for.set()
        return Answer(b"<html>busy</html>", 429, {"retry-after": "500"})

    with serving(busy) as server:
        point_at(server.url)
        with TestClient(create_app(load())) as client:
            client.post("/analyze", json={})
            assert asked_for.wait(20)
            assert client.post("/runs/1/cancel", json={}).status_code == 202
            until_idle(client)
            status = client.get("/runs/1/status").json()

    assert (status["status"], status["error_code"]) == ("failed", "cancelled")
    assert server.paths().count("/r/wallstreetbets/hot") == 1
    assert Path(f"{DB}-reddit").read_text().endswith("Z\n")


def test_the_run_that_is_told_to_wait_is_told_so_after_a_restart_too(
    phaseline: Phaseline, point_at: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHASELINE_HARD_LIMIT_S", "60")
    made: Answering = day(1, 3)

    def limited(asked: Asked) -> Answer:
        return made(asked) if asked.path == TOKEN_PATH else Answer({}, 429, {"retry-after": "500"})

    with serving(limited) as server:
        point_at(server.url)
        first, again = phaseline("analyze"), phaseline("analyze")

    assert (first[0], again[0]) == (1, 1)
    assert "Reddit wants" in first[2] + first[1]
    assert "Reddit wants" in again[2] + again[1]
    assert len(server.asked) == 2
