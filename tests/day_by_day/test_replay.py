"""Replays as a person plays them: which days, going on, databases that are not theirs, and what is told."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import date, time
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.replay.plan import Plan, moments
from api.settings import load
from phases.calendar import ExchangeCalendar
from tests.day_by_day.conftest import Phaseline
from tests.day_by_day.world import World, dump, rows_of

ROOT = Path(__file__).parents[2]
PLAN: dict[str, Any] = {
    "start": date(2021, 1, 14),
    "end": date(2021, 1, 21),
    "at": (time(9, 30),),
    "subreddit": "wallstreetbets",
    "source": "archive:/a.ndjson",
    "source_bytes": 1,
    "analyzer": "lexicon",
    "prices": "csv:/p.csv",
    "options": "none",
    "benchmark": "SPY",
    "params": {"lookback_hours": 24},
    "rules": {"quality_min_users": "3"},
}


# --- the plan ---


def test_weekends_and_holidays_are_left_out() -> None:
    days = [moment.day.day for moment in moments(Plan(**PLAN), ExchangeCalendar())]

    assert days == [14, 15, 19, 20, 21]


def test_times_are_those_of_new_york_in_winter_and_in_summer() -> None:
    plan = Plan(**{**PLAN, "start": date(2021, 3, 12), "end": date(2021, 3, 15)})

    instants = [f"{moment.as_of:%d %H:%M}" for moment in moments(plan, ExchangeCalendar())]

    assert instants == ["12 14:30", "15 13:30"]


def test_several_times_a_day_come_in_order_and_once() -> None:
    plan = Plan(**{**PLAN, "end": PLAN["start"], "at": (time(15, 45), time(9, 30), time(15, 45))})

    assert [f"{moment.as_of:%H:%M}" for moment in moments(plan, ExchangeCalendar())] == ["14:30", "20:45"]


def test_a_plan_survives_json() -> None:
    plan = Plan(**PLAN)

    assert Plan.of_json(json.loads(json.dumps(plan.as_json()))) == plan


def test_another_end_is_the_same_plan_and_nothing_else_is() -> None:
    plan = Plan(**PLAN)

    assert plan.differences(Plan(**{**PLAN, "end": date(2021, 2, 5)})) == []
    for name in set(PLAN) - {"end"}:
        changed = {**PLAN, name: {"at": (time(10),), "start": date(2021, 1, 13)}.get(name, "another")}
        assert plan.differences(Plan(**changed)) == [name]


# --- playing ---


def test_each_trading_day_is_one_run_as_of_its_opening(world: World) -> None:
    db = world.replay()

    runs = rows_of(db, "SELECT status, json_extract(params, '$.as_of') FROM analysis_runs ORDER BY id")
    days = ["14", "15", "19", "20", "21"]
    assert runs == [("completed", f"2021-01-{day}T14:30:00.000Z") for day in days]
    assert rows_of(db, "SELECT DISTINCT signal_date FROM signals") == [(f"2021-01-{day}",) for day in days]
    assert not list(world.folder.glob("replay.db-slices*"))


def test_a_finished_replay_runs_nothing_twice(world: World, phaseline: Phaseline) -> None:
    db = world.replay()
    before = dump(db)
    _, first, _ = phaseline("replay", "report", "--db", str(db))

    code, out, err = phaseline(*world.command(db))

    assert code == 0
    assert err.splitlines() == ["5 of 5 runs are done already"]
    assert out == first
    assert dump(db) == before
    assert rows_of(db, "SELECT count(*) FROM analysis_runs") == [(5,)]


@pytest.mark.slow
def test_a_replay_goes_on_to_a_later_end_as_if_it_had_been_one(world: World) -> None:
    whole = dump(world.replay("whole.db"))

    world.replay("two.db", end="2021-01-15")

    assert dump(world.replay("two.db", end="2021-01-21")) == whole


@pytest.mark.slow
def test_a_killed_replay_goes_on_where_it_was(world: World) -> None:
    whole = dump(world.replay("whole.db"))
    db = world.folder / "killed.db"
    (world.folder / "killed.db-key").write_bytes((world.folder / "key").read_bytes())
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "api.cli", *world.command(db)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stderr is not None
    said = [next(child.stderr) for _ in range(2)]
    child.send_signal(signal.SIGKILL)
    child.communicate()

    again = dump(world.replay("killed.db"))

    assert said[1].startswith("2021-01-15 09:30: 10 comments")
    assert again == whole
    assert not list(world.folder.glob("killed.db-slices*"))


def test_a_failed_day_is_gone_on_with_once_its_cause_is_gone(world: World, phaseline: Phaseline) -> None:
    db = world.replay(end="2021-01-14")
    with closing(sqlite3.connect(db)) as conn, conn:
        conn.execute("INSERT INTO system_config VALUES ('nonsense', '1', '')")
    failed, _, said = phaseline(*world.command(db, end="2021-01-15"))
    with closing(sqlite3.connect(db)) as conn, conn:
        conn.execute("DELETE FROM system_config WHERE key = 'nonsense'")

    code, _, _ = phaseline(*world.command(db, end="2021-01-15"))

    assert failed == 1
    assert "a key 'nonsense'" in said
    assert said.splitlines()[-1] == "the same command goes on from there"
    assert code == 0
    assert rows_of(db, "SELECT id, status FROM analysis_runs") == [(1, "completed"), (2, "completed")]


def test_the_benchmark_and_the_portfolios_are_noted_after_each_run(world: World) -> None:
    db = world.replay(end="2021-01-15")

    assert rows_of(db, "SELECT day, benchmark FROM replay_moments") == [
        ("2021-01-14", pytest.approx(104.0707)),
        ("2021-01-15", pytest.approx(104.5911)),
    ]
    assert rows_of(db, "SELECT count(*) FROM replay_values") == [(8,)]


def test_rules_that_are_set_hold_for_every_run(world: World) -> None:
    db = world.replay("r.db", "--set", "quality_min_users=9", end="2021-01-15")

    assert rows_of(db, "SELECT count(*) FROM signals") == [(0,)]
    assert rows_of(db, "SELECT value FROM system_config WHERE key = 'quality_min_users'") == [("9",)]


# --- whose database ---


def test_an_ordinary_database_is_refused_and_left_as_it_was(world: World, phaseline: Phaseline) -> None:
    db = world.folder / "ordinary.db"
    phaseline("analyze", "--db", str(db), "--executor", "threads")
    before = rows_of(db, "SELECT name FROM sqlite_master")

    code, out, err = phaseline(*world.command(db))

    assert (code, out) == (1, "")
    assert "is no replay's database" in err
    assert rows_of(db, "SELECT name FROM sqlite_master") == before


def test_an_ordinary_analysis_does_not_enter_a_replays_database(world: World, phaseline: Phaseline) -> None:
    db = world.replay(end="2021-01-15")

    code, _, err = phaseline("analyze", "--db", str(db), "--executor", "threads")

    assert code == 1
    assert "this database belongs to a replay" in err
    assert rows_of(db, "SELECT count(*) FROM analysis_runs") == [(2,)]


def test_a_server_shows_a_replay_and_starts_nothing_in_it(world: World) -> None:
    db = world.replay(end="2021-01-14")
    with TestClient(create_app(load({"db": str(db)}))) as client:
        shown = client.get("/positions").json()["items"]
        answer = client.post("/analyze", json={"source": "sample"})

    assert len(shown) == 2
    assert answer.status_code == 422
    assert "this database belongs to a replay" in answer.text


def test_another_replay_is_not_mixed_in(world: World, phaseline: Phaseline) -> None:
    db = world.replay(end="2021-01-15")

    code, _, err = phaseline(*world.command(db, "2021-01-14", "2021-01-21", "--at", "15:45"))

    assert code == 1
    assert "a replay with another at" in err


def test_two_processes_do_not_replay_into_one_database(world: World, phaseline: Phaseline) -> None:
    db = world.folder / "r.db"
    holder = subprocess.Popen(
        [
            *(sys.executable, "-c"),
            "import fcntl, sys; f = open(sys.argv[1], 'w+'); fcntl.lockf(f, 1); print(flush=True); input()",
            f"{db}-replay",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "\n"

    code, _, err = phaseline(*world.command(db))
    holder.communicate("\n")

    assert code == 1
    assert "another process replays in" in err
    assert not db.exists()


def test_without_a_name_the_database_is_the_replays_own(world: World, phaseline: Phaseline) -> None:
    command = world.command(Path("unused"), "2021-01-14", "2021-01-14")
    at = command.index("--db")

    code, _, _ = phaseline(*command[:at], *command[at + 2 :])

    assert code == 0
    assert Path("data/replay.db").exists()
    assert not Path("data/phaseline.db").exists()


# --- mistakes ---


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (("--to", "2021-01-10"), "is before --from"),
        (("--from", "2021-01-16", "--to", "2021-01-18"), "the exchange is closed on every day"),
        (("--from", "1850-01-16"), "the exchange calendar"),
        (("--at", "25:00"), "is no time of day"),
        (("--set", "quality_min_users"), "RULE=VALUE"),
        (("--set", "quality_min_user=3"), "did you mean quality_min_users?"),
        (("--set", "quality_min_users=0"), "must be a whole number from 1"),
        (("--params", '{"lookback_hours": 0}'), "lookback_hours must be"),
        (("--source", "reddit"), "can't be asked how things were"),
        (("--prices", "yfinance"), "can't be asked how things were"),
        (("--source", "archive:none.ndjson"), "there is no file"),
        (("--from", "2021-01-12"), "has no comment of r/wallstreetbets before 2021-01-12"),
        (("--subreddit", "stocks"), "has none at all"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_2(
    world: World, phaseline: Phaseline, more: tuple[str, ...], says: str
) -> None:
    db = world.folder / "r.db"

    code, out, err = phaseline(*world.command(db, "2021-01-14", "2021-01-15", *more))

    assert (code, out) == (2, "")
    assert says in err
    assert len(err.splitlines()) == 1


def test_days_are_asked_for(phaseline: Phaseline) -> None:
    code, _, err = phaseline("replay", "--from", "2021-01-19")

    assert code == 2
    assert "--from 2021-01-19 --to 2021-02-05" in err


def test_a_report_of_nothing_is_not_found(world: World, phaseline: Phaseline) -> None:
    phaseline("analyze", "--db", "ordinary.db", "--executor", "threads")

    missing, _, said = phaseline("replay", "report")
    other, _, err = phaseline("replay", "report", "--db", "ordinary.db")

    assert missing == 5
    assert "there is no replay" in said
    assert other == 1
    assert "holds no replay" in err


def test_a_wrong_rule_leaves_nothing_behind(world: World, phaseline: Phaseline) -> None:
    db = world.folder / "r.db"
    phaseline(*world.command(db, "2021-01-14", "2021-01-15", "--set", "quality_min_users=0"))

    code, _, _ = phaseline(*world.command(db, "2021-01-14", "2021-01-15"))

    assert code == 0


def test_reports_can_be_read_while_a_replay_writes(world: World, phaseline: Phaseline) -> None:
    db = world.replay(end="2021-01-14")
    with closing(sqlite3.connect(db, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        code, out, _ = phaseline("replay", "report", "--db", str(db))

    assert code == 0
    assert "# Replay of 2021-01-14 to 2021-01-14" in out
