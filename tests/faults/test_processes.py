"""Real processes that are killed, stopped, frozen and set against each other on one database."""

from __future__ import annotations

import signal
import sqlite3
from pathlib import Path
from typing import Any, Final

import pytest

from tests.faults.forkserver import Server
from tests.faults.life import Life, decide, live, person
from tests.faults.pipeline import NUMBERS
from tests.faults.process import paused
from tests.faults.races import RACERS, race, race_to_recover, race_to_start
from tests.faults.sweep import again, folder, problems

MOMENTS: Final = ("entered", "written2", "kept1", "leaving")


def _query(db: Path, sql: str) -> list[Any]:
    conn = sqlite3.connect(db)
    try:
        return conn.execute(sql).fetchall()
    finally:
        conn.close()


def _history(db: Path) -> list[tuple[str, str, int]]:
    return _query(db, "SELECT trigger, dest, attempt FROM run_events ORDER BY seq")


def _run(db: Path) -> tuple[str, str | None, int]:
    found: tuple[str, str | None, int] = _query(
        db, "SELECT status, error_code, attempt FROM analysis_runs WHERE id = 1"
    )[0]
    return found


# --- kill -9 ---


@pytest.mark.parametrize(("phase", "moment"), [(1, "written2"), (2, "kept1"), (5, "leaving")])
def test_a_run_killed_from_outside_goes_on_in_the_phase_it_was_in(
    plain_server: Server, db: Path, phase: int, moment: str
) -> None:
    trace = db.with_name("trace")
    with paused(Life(db=db, trace=trace, acts={f"{phase}.{moment}": "pause"})) as process:
        process.kill()

    _goes_on(plain_server, db, trace, phase)


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("phase", NUMBERS)
def test_a_run_that_dies_at_any_moment_goes_on_in_the_phase_it_was_in(
    plain_server: Server, db: Path, phase: int, moment: str
) -> None:
    trace = db.with_name("trace")
    life = Life(db=db, trace=trace, acts={f"{phase}.{moment}": "kill"})
    assert plain_server.run(live, life).was_killed

    _goes_on(plain_server, db, trace, phase)


def _goes_on(plain_server: Server, db: Path, trace: Path, phase: int) -> None:
    assert problems(db) == []
    before = trace.read_text().split()
    report = plain_server.run(live, Life(db=db, trace=trace, starts=False)).report

    assert report["taken"] == [(1, f"phase_{phase}", 2)]
    assert trace.read_text().split()[len(before) :] == [f"1.{each}" for each in NUMBERS if each >= phase]
    assert _run(db) == ("completed", None, 1 if phase < NUMBERS[-1] else 2)
    assert problems(db) == []
    assert again(trace) == []


def test_a_run_whose_process_dies_again_and_again_fails_in_the_end(plain_server: Server, db: Path) -> None:
    deaths = [
        plain_server.run(live, Life(db=db, max_attempts=2, starts=life == 0, acts={"2.written3": "kill"}))
        for life in range(3)
    ]
    last = plain_server.run(live, Life(db=db, max_attempts=2, starts=False))

    assert all(death.was_killed for death in deaths)
    assert last.report["taken"] == [(1, "failed", 3)]
    assert _run(db) == ("failed", "attempts_exhausted", 3)
    assert [attempt for trigger, _, attempt in _history(db) if trigger == "resume"] == [2, 3]
    assert problems(db) == []


def test_a_person_resumes_what_had_died_too_often_in_the_phase_it_died_in(
    plain_server: Server, db: Path
) -> None:
    trace = db.with_name("trace")
    for life in range(2):
        killed = Life(db=db, max_attempts=0, starts=life == 0, acts={"2.kept1": "kill"})
        plain_server.run(live, killed)
    assert _run(db)[1] == "attempts_exhausted"

    assert plain_server.run(person, Life(db=db, trace=trace), "resume", 1).report == "completed"
    assert trace.read_text().split() == ["1.2", "1.5"]
    assert _history(db)[3] == ("resume", "phase_2", 1)
    assert problems(db) == []


def test_recovery_set_to_fail_says_so(plain_server: Server, db: Path) -> None:
    plain_server.run(live, Life(db=db, acts={"1.kept1": "kill"}))
    plain_server.run(live, Life(db=db, recovery="fail", starts=False))

    assert _run(db) == ("failed", "interrupted", 1)
    assert problems(db) == []


# --- a deliberate stop ---


def test_a_run_that_was_stopped_on_purpose_goes_on_with_its_first_attempt(
    plain_server: Server, db: Path
) -> None:
    trace = db.with_name("trace")
    life = Life(db=db, trace=trace, shutdown="checkpoint", acts={"2.written0": "pause"})
    with paused(life) as process:
        process.stop()
        stopped = process.go_on()
    assert stopped["error"] is None
    assert _query(db, "SELECT status, owner FROM analysis_runs") == [("running", None)]
    assert problems(db) == []

    report = plain_server.run(live, Life(db=db, trace=trace, starts=False)).report
    assert report["taken"] == [(1, "phase_2", 1)]
    assert trace.read_text().split() == ["1.1", "1.2", "1.2", "1.5"]
    assert _run(db) == ("completed", None, 1)
    assert problems(db) == []


def test_a_process_told_to_finish_finishes_its_run(db: Path) -> None:
    with paused(Life(db=db, acts={"1.written0": "pause"})) as process:
        process.stop()
        process.go_on()

    assert _run(db) == ("completed", None, 1)


# --- a living owner ---


@pytest.mark.parametrize("moment", ["1.written0", "1.kept1"])
def test_a_frozen_process_keeps_its_run(plain_server: Server, db: Path, moment: str) -> None:
    with paused(Life(db=db, acts={moment: "pause"})) as process:
        process.signal(signal.SIGSTOP)
        reports = [plain_server.run(live, Life(db=db)).report for _ in range(3)]
        process.signal(signal.SIGCONT)
        ended = process.go_on()

    assert [report["taken"] for report in reports] == [[], [], []]
    assert [report["started"] for report in reports] == [None, None, None]
    assert ended["error"] is None
    assert _history(db) == [
        ("start", "phase_1", 1),
        ("advance", "phase_2", 1),
        ("advance", "phase_5", 1),
        ("advance", "completed", 1),
    ]


def test_a_cancel_reaches_the_run_of_another_process(plain_server: Server, db: Path) -> None:
    with paused(Life(db=db, acts={"2.kept1": "pause"})) as process:
        assert plain_server.run(person, Life(db=db), "cancel", 1).report == "running"
        process.go_on()

    assert _run(db) == ("failed", "cancelled", 1)
    assert problems(db) == []


# --- what a phase's end asks for ---


@pytest.mark.parametrize("moment", ["entered", "written2", "leaving"])
@pytest.mark.parametrize("phase", NUMBERS)
@pytest.mark.parametrize(
    ("act", "ends"),
    [
        ("raise", ("failed", "error")),
        ("late", ("failed", "timeout")),
        ("cancel", ("failed", "cancelled")),
        ("jump", ("completed", None)),
        ("leap", ("completed", None)),
    ],
)
def test_each_end_of_a_phase_takes_its_edge_and_leaves_no_half_phase(
    plain_server: Server, db: Path, act: str, ends: tuple[str, str | None], phase: int, moment: str
) -> None:
    plain_server.run(live, Life(db=db, acts={f"{phase}.{moment}": act}))

    assert _run(db)[:2] == ends
    assert problems(db) == []
    assert plain_server.run(live, Life(db=db)).report["started"] == 2


# --- races ---


def test_of_many_processes_that_start_at_once_exactly_one_does(plain_server: Server) -> None:
    for _ in range(5):
        assert race_to_start(plain_server) == []


def test_of_many_processes_that_recover_at_once_exactly_one_takes_over(plain_server: Server) -> None:
    for _ in range(5):
        assert race_to_recover(plain_server) == []


def test_no_process_takes_a_living_run_over(plain_server: Server, db: Path) -> None:
    with paused(Life(db=db, acts={"1.kept1": "pause"})) as process:
        said, wrong = race(plain_server, Life(db=db), "recover")
        process.go_on()

    assert (said, wrong) == (["took 0"] * RACERS, [])
    assert _run(db) == ("completed", None, 1)


@pytest.mark.tier1
@pytest.mark.timeout(900)
def test_two_hundred_races_have_one_winner_each(plain_server: Server) -> None:
    for _ in range(200):
        assert race_to_start(plain_server) + race_to_recover(plain_server) == []


def test_processes_that_make_the_database_at_once_all_get_it(plain_server: Server) -> None:
    for _ in range(10):
        with folder() as where:
            deaths = plain_server.race([(decide, (Life(db=where / "runs.db"), "recover"))] * RACERS)

            assert [death.complaint or death.report for death in deaths] == ["took 0"] * RACERS
