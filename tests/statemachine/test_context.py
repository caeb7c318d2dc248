"""What a phase may do with its context, and what it may not."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from statemachine.context import MAX_WARNINGS, AppendOnly
from statemachine.contract import RunCancelled, RunStopping
from statemachine.redaction import redactor
from tests.statemachine.conftest import MakeRunner, check_point, drive, raises, row, then, writes


def warnings(*messages: str) -> AppendOnly:
    return AppendOnly([{"message": message} for message in messages], lambda: "now", redactor(["hunter2"]))


@pytest.mark.parametrize(
    "change",
    [
        lambda said: said.pop(),
        lambda said: said.clear(),
        lambda said: said.reverse(),
        lambda said: said.remove({"message": "a"}),
        lambda said: said.insert(0, {"message": "z"}),
        lambda said: said.__setitem__(0, {"message": "z"}),
        lambda said: said.__setitem__(slice(0, 2), []),
        lambda said: said.__delitem__(0),
    ],
)
def test_what_was_said_stays_said(change: Callable[[AppendOnly], object]) -> None:
    said = warnings("a", "b")

    with pytest.raises(TypeError, match="append-only"):
        change(said)

    assert said.copy() == [{"message": "a"}, {"message": "b"}]


@pytest.mark.parametrize(
    "add",
    [
        lambda said: said.append({"message": "c"}),
        lambda said: said.insert(2, {"message": "c"}),
        lambda said: said.extend([{"message": "c"}]),
        lambda said: said.__iadd__([{"message": "c"}]),
    ],
)
def test_more_may_be_said_in_every_way(add: Callable[[AppendOnly], object]) -> None:
    said = warnings("a", "b")

    add(said)

    assert len(said) == 3
    assert said[2] == {"message": "c"} == said[-1:][0]


def test_what_is_read_or_was_given_changes_nothing() -> None:
    said = warnings()
    given: dict[str, Any] = {"context": {"n": 1}}
    said.append(given)

    given["context"]["n"] = 2
    said[0]["context"]["n"] = 3
    said[:][0]["context"]["n"] = 4
    said.copy().clear()

    assert said.copy() == [{"context": {"n": 1}}]


@pytest.mark.parametrize(
    "wrong", [{"a": object()}, {"a": float("nan")}, {"a": b"x"}], ids=["object", "nan", "bytes"]
)
def test_a_warning_that_json_can_not_say_is_refused_where_it_is_said(wrong: dict[str, Any]) -> None:
    said = warnings()

    with pytest.raises((TypeError, ValueError)):
        said.append(wrong)

    assert said.copy() == []


def test_a_flood_of_warnings_is_dropped_with_one_that_says_so() -> None:
    said = warnings()
    for number in range(MAX_WARNINGS + 50):
        said.append({"message": str(number)})

    assert len(said) == MAX_WARNINGS + 1
    assert said[MAX_WARNINGS - 1] == {"message": str(MAX_WARNINGS - 1)}
    assert said[MAX_WARNINGS] == {
        "type": "warnings_dropped",
        "message": f"more than {MAX_WARNINGS} warnings; the rest were dropped",
        "timestamp": "now",
        "context": {},
    }


def test_a_context_may_have_keys_that_are_names_of_arguments(make_runner: MakeRunner, db: Path) -> None:
    runner = make_runner(lambda _conn, ctx: ctx.warn("odd", "names", type=1, message=2, self=3))
    runner.create({})

    assert (drive(runner).warnings or [])[0]["context"] == {"type": 1, "message": 2, "self": 3}


def test_warnings_and_results_go_on_from_phase_to_phase_and_the_params_stay(
    make_runner: MakeRunner, db: Path
) -> None:
    def phase(_conn: sqlite3.Connection, ctx: Any) -> None:
        assert ctx.params == {"list": [1]}
        ctx.params["list"].append(2)
        ctx.results["phases"] = ctx.results.get("phases", 0) + 1
        ctx.warn("again", str(len(ctx.warnings)))

    runner = make_runner(phase, phase, phase)
    runner.create({"list": [1]})

    run = drive(runner)
    assert (run.params, run.results) == ({"list": [1]}, {"phases": 3})
    assert [each["message"] for each in run.warnings or ()] == ["0", "1", "2"]


def test_what_a_failed_phase_changed_of_the_results_is_not_seen_when_it_is_entered_again(
    make_runner: MakeRunner, db: Path
) -> None:
    seen: list[Any] = []

    def phase(_conn: sqlite3.Connection, ctx: Any) -> None:
        seen.append(dict(ctx.results))
        ctx.results["half"] = True
        if len(seen) == 1:
            raise ValueError

    runner = make_runner(phase)
    runner.start({})
    assert runner.wait()
    runner.resume(1)
    assert runner.wait()

    assert seen == [{}, {}]
    assert row(db).results == {"half": True}


def test_the_tools_are_made_from_the_params_at_each_entry(make_runner: MakeRunner) -> None:
    used: list[Any] = []
    runner = make_runner(
        *[lambda _conn, ctx: used.append(ctx.tools)] * 2, tools=lambda params: {"of": params["source"]}
    )
    runner.create({"source": "sample"})
    drive(runner)

    assert used == [{"of": "sample"}] * 2
    assert used[0] is not used[1]


def test_without_tools_there_are_none(make_runner: MakeRunner) -> None:
    used: list[Any] = []
    runner = make_runner(lambda _conn, ctx: used.append(ctx.tools))
    runner.create({})
    drive(runner)

    assert used == [None]


@pytest.mark.parametrize(("asks", "stop"), [("cancel", RunCancelled), ("stop", RunStopping)])
def test_mapping_ends_between_two_results_when_the_run_is_to_end(
    make_runner: MakeRunner, db: Path, asks: str, stop: type[BaseException]
) -> None:
    taken: list[int] = []

    def phase(_conn: sqlite3.Connection, ctx: Any) -> None:
        results = ctx.map(abs, [-1, -2, -3])
        taken.append(next(results))
        runner.cancel(1) if asks == "cancel" else runner.request_stop()
        with pytest.raises(stop):
            next(results)

    runner = make_runner(phase, writes(1))
    runner.create({})
    runner.step(1)

    assert taken == [1]


def test_an_exception_in_mapped_work_is_the_phases(make_runner: MakeRunner) -> None:
    runner = make_runner(lambda _conn, ctx: list(ctx.map(int, ["1", "one"])))
    runner.create({})

    assert "invalid literal for int() with base 10: 'one'" in (drive(runner).error_message or "")


def test_the_steps_of_a_phase_do_not_show_in_the_next_one(make_runner: MakeRunner, db: Path) -> None:
    runner = make_runner(
        then(lambda _conn, ctx: ctx.progress(5, 10, "posts"), check_point),
        then(check_point, raises(ValueError())),
    )
    runner.create({})
    drive(runner)

    assert (row(db).step_current, row(db).step_total, row(db).step_unit) == (None, None, None)


def test_a_secret_in_a_warning_is_not_kept() -> None:
    said = warnings()
    said.append(
        {"message": "hunter2 at https://x.example/?apikey=SECRET123", "context": {"urls": ["hunter2"]}}
    )

    assert "hunter2" not in str(said.copy())
    assert "SECRET123" not in str(said.copy())


def test_a_secret_in_the_results_is_not_kept(make_runner: MakeRunner) -> None:
    def leak(_conn: sqlite3.Connection, ctx: Any) -> None:
        ctx.results["source"] = {"urls": ["https://me:hunter2hunter2@x.example"]}
        ctx.checkpoint()

    runner = make_runner(leak)
    runner.create({})

    assert drive(runner).results == {"source": {"urls": ["https://me:***@x.example"]}}
