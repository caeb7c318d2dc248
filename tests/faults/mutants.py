"""Mistakes that somebody could make in the engine, and the harness that must notice each of them.

A mutant replaces a text that stands exactly once in a file of a copy of the engine. `caught_by` is the
test that is expected to fail; `python -m tests.faults.mutants` tries every harness on every mutant and
prints the matrix.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.faults.forkserver import ROOT


@dataclass(frozen=True, slots=True)
class Mutant:
    """One mistake."""

    name: str
    file: str
    old: str
    new: str
    caught_by: str


STORAGE: Final = "tests/faults/test_storage_faults.py"
POWER: Final = "tests/faults/test_power_loss.py"
PROCESSES: Final = "tests/faults/test_processes.py"
MOMENTS: Final = "tests/faults/test_interleavings.py"
HISTORIES: Final = "tests/faults/test_simulation.py"
GUARDS: Final = "tests/statemachine/test_guards.py"
CONNECTION: Final = "tests/statemachine/test_connection.py"
HARNESSES: Final = (STORAGE, POWER, PROCESSES, MOMENTS, HISTORIES, GUARDS, CONNECTION)

_DRIVER: Final = "statemachine/driver.py"
_DESK: Final = "statemachine/desk.py"
_ROSTER: Final = "statemachine/roster.py"
_KEEPER: Final = "statemachine/keeper.py"
_STORE: Final = "statemachine/store.py"
_MACHINE: Final = "statemachine/machine.py"
_CONNECTION: Final = "statemachine/connection.py"
_GUARD: Final = "statemachine/guard.py"
_OWNER: Final = "statemachine/owner.py"
_SQL: Final = "statemachine/schema.sql"
_LIVE: Final = "statemachine/live.py"
_ENDS: Final = f"{PROCESSES}::test_each_end_of_a_phase_takes_its_edge_and_leaves_no_half_phase"
_DIES: Final = f"{PROCESSES}::test_a_run_that_dies_at_any_moment_goes_on_in_the_phase_it_was_in"
_STARTS: Final = f"{PROCESSES}::test_of_many_processes_that_start_at_once_exactly_one_does"
_FROZEN: Final = f"{PROCESSES}::test_a_frozen_process_keeps_its_run"

MUTANTS: Final = (
    Mutant(
        "the rows of a phase are committed before its boundary",
        _DRIVER,
        "            boundary = self._boundary(outcome, results)\n",
        "            boundary = self._boundary(outcome, results)\n"
        "            conn.end('COMMIT' if outcome.trigger == ADVANCE else 'ROLLBACK')\n",
        f"{STORAGE}::test_a_run_survives_a_broken_storage_operation",
    ),
    Mutant(
        "a commit is not synced",
        _CONNECTION,
        '"synchronous": 2',
        '"synchronous": 1',
        f"{POWER}::test_nothing_acknowledged_is_lost_with_the_power",
    ),
    Mutant(
        "no write-ahead log",
        _CONNECTION,
        '"journal_mode": "wal"',
        '"journal_mode": "delete"',
        f"{CONNECTION}::test_every_writing_connection_has_wal_foreign_keys_and_full_durability",
    ),
    Mutant("foreign keys are off", _CONNECTION, '"foreign_keys": 1', '"foreign_keys": 0', CONNECTION),
    Mutant(
        "every owner counts as dead",
        _OWNER,
        "            except OSError:\n                return True\n",
        "            except OSError:\n                return False\n",
        _FROZEN,
    ),
    Mutant(
        "every owner counts as alive",
        _OWNER,
        "            fcntl.lockf(self._file.fd, fcntl.LOCK_UN, 1, offset)\n            return False\n",
        "            fcntl.lockf(self._file.fd, fcntl.LOCK_UN, 1, offset)\n            return True\n",
        _DIES,
    ),
    Mutant(
        "recovery takes living runs over",
        _DESK,
        "if run.registry != self._registry.fingerprint or self._is_driven(run):",
        "if run.registry != self._registry.fingerprint:",
        _FROZEN,
    ),
    Mutant(
        "a run looks abandoned until its thread runs",
        _ROSTER,
        "                self._lives[run.id] = adopted[-1]\n",
        "                adopted[-1].told_s = 0.0\n",
        f"{MOMENTS}::test_a_run_whose_thread_is_about_to_start_is_not_taken_over",
    ),
    Mutant("nothing is recovered", _DESK, "taken.append(self._taken_over(run))", "continue", _DIES),
    Mutant(
        "any number of runs",
        _DESK,
        "        self._refuse_if_full(store)\n        return store.create(",
        "        return store.create(",
        _STARTS,
    ),
    Mutant(
        "the transaction begins without the write lock",
        _CONNECTION,
        '        conn.execute("BEGIN IMMEDIATE")\n    except sqlite3.OperationalError as error:\n'
        "        if is_busy(error):\n            raise StoreBusy(",
        '        conn.execute("BEGIN")\n    except sqlite3.OperationalError as error:\n'
        "        if is_busy(error):\n            raise StoreBusy(",
        f"{CONNECTION}::test_a_transaction_that_gets_no_lock_says_busy",
    ),
    Mutant(
        "the row may have moved",
        _STORE,
        "AND owner IS ? AND version = ?",
        "AND (owner IS ? OR 1) AND (version = ? OR 1)",
        f"{PROCESSES}::test_of_many_processes_that_recover_at_once_exactly_one_takes_over",
    ),
    Mutant(
        "a cancel of another process is overlooked",
        _STORE,
        "AND cancel_requested <= ?",
        "AND (cancel_requested <= ? OR 1)",
        f"{PROCESSES}::test_a_cancel_reaches_the_run_of_another_process",
    ),
    Mutant(
        "a cancel is overlooked at the boundary",
        _DRIVER,
        "        if live.cancelling:\n            return Outcome(trigger=CANCEL",
        "        if False:\n            return Outcome(trigger=CANCEL",
        _ENDS,
    ),
    Mutant(
        "a late phase advances",
        _DRIVER,
        "        if live.is_late:\n",
        "        if False:\n",
        _ENDS,
    ),
    Mutant(
        "a failed phase is committed",
        _DRIVER,
        'roll_back=lambda: conn.end("ROLLBACK")',
        'roll_back=lambda: conn.end("COMMIT")',
        _ENDS,
    ),
    Mutant(
        "a check point keeps the rows without the record",
        _DRIVER,
        "                self._save(run, saved)\n                self._commit_with_notes(saved)\n"
        "            except Exception:\n                conn.spoil()\n                raise\n"
        "            self._run = saved\n",
        "                self._commit_with_notes(saved)\n"
        "            except Exception:\n                conn.spoil()\n                raise\n",
        _DIES,
    ),
    Mutant(
        "a stop keeps what was not check pointed",
        _DRIVER,
        '            self._conn.end("ROLLBACK")\n            run = self._store.read(run_id)\n',
        "            run = self._store.read(run_id)\n",
        f"{MOMENTS}::test_what_a_stopped_phase_wrote_after_its_last_check_point_is_discarded",
    ),
    Mutant(
        "a takeover overlooks a cancel that came meanwhile",
        _DRIVER,
        "    if store.read(run.id).cancel_requested:",
        "    if run.cancel_requested:",
        f"{MOMENTS}::test_a_cancel_that_comes_between_the_look_at_a_dead_run_and_its_takeover_is_heeded",
    ),
    Mutant(
        "a stop overlooks a cancel that came meanwhile",
        _STORE,
        "cancelling = cancelling or self.read(run.id).cancel_requested",
        "cancelling = cancelling or run.cancel_requested",
        f"{MOMENTS}::test_a_cancel_that_comes_while_a_run_is_let_go_is_found_at_the_next_start",
    ),
    Mutant(
        "a stop counts as a crash",
        _DRIVER,
        "crashed = run.owner is not None",
        "crashed = True",
        f"{PROCESSES}::test_a_run_that_was_stopped_on_purpose_goes_on_with_its_first_attempt",
    ),
    Mutant(
        "a crash is not counted",
        _DRIVER,
        "attempt = run.attempt + 1 if crashed else 1",
        "attempt = run.attempt",
        _DIES,
    ),
    Mutant(
        "one attempt too few",
        _DRIVER,
        "elif attempt > 1 + recovery.max_attempts:",
        "elif attempt >= 1 + recovery.max_attempts:",
        f"{PROCESSES}::test_a_run_whose_process_dies_again_and_again_fails_in_the_end",
    ),
    Mutant(
        "recovery resumes where it is set to fail",
        _DRIVER,
        'elif recovery.mode == "fail":',
        "elif False:",
        f"{PROCESSES}::test_recovery_set_to_fail_says_so",
    ),
    Mutant(
        "a resume enters the first phase",
        "statemachine/table.py",
        "Edge(RESUME, phase, phase),",
        "Edge(RESUME, phase, phases[0]),",
        _DIES,
    ),
    Mutant(
        "a failed run is resumed in any phase",
        _MACHINE,
        "return model.registry.state_of(model.run.current_phase) == _ends(event)[1]",
        "return True",
        f"{PROCESSES}::test_a_person_resumes_what_had_died_too_often_in_the_phase_it_died_in",
    ),
    Mutant(
        "progress is one behind",
        _MACHINE,
        "progress_current=model.registry.positions[state],",
        "progress_current=max(1, model.registry.positions[state] - 1),",
        _DIES,
    ),
    Mutant(
        "an edge leaves no event",
        _MACHINE,
        "        self.store.record(self.run, trigger=trigger, source=source, detail=now.detail)\n",
        "",
        _DIES,
    ),
    Mutant(
        "an ended run may change",
        _SQL,
        "WHEN OLD.status <> 'running' AND NEW.state = OLD.state",
        "WHEN 0",
        f"{GUARDS}::test_a_run_that_has_ended_is_sealed",
    ),
    Mutant(
        "a run may move anywhere",
        _SQL,
        "WHEN NEW.state <> OLD.state\n",
        "WHEN 0\n",
        f"{GUARDS}::test_an_update_moves_a_run_exactly_where_the_table_does",
    ),
    Mutant(
        "a phase may do anything",
        _GUARD,
        "        super().set_authorizer(self._authorize)\n",
        "",
        f"{CONNECTION}::test_a_forbidden_statement_is_refused_in_words_and_changes_nothing",
    ),
    Mutant(
        "a phase's write opens no transaction",
        _GUARD,
        '                self.run("BEGIN IMMEDIATE")\n            self._began = True\n',
        "                self._began = False\n",
        f"{CONNECTION}::test_the_first_write_opens_the_transaction_and_nobody_sees_it_before_the_driver_commits",
    ),
    Mutant(
        "after a lost transaction the phase goes on",
        _GUARD,
        "        if self.lost:\n",
        "        if False:\n",
        f"{CONNECTION}::test_after_a_lost_transaction_every_write_is_refused_and_reading_goes_on",
    ),
    Mutant(
        "limits follow the wall clock",
        _LIVE,
        "self.clock.monotonic() - self.started",
        "self.clock.now().timestamp() % 86_400 - self.started",
        _ENDS,
    ),
    Mutant(
        "the keeper sleeps through a close",
        _KEEPER,
        "            self._clock.wait(self._wake, wait_s)\n            self._wake.clear()",
        "            self._wake.clear()\n            self._clock.wait(self._wake, wait_s)",
        f"{MOMENTS}::test_the_keeper_hears_of_a_close_that_comes_while_it_wakes_up",
    ),
    Mutant(
        "a process fails beside another that makes the file",
        _CONNECTION,
        "    for _ in range(MAX_TRIES):\n",
        "    for _ in range(0):\n",
        f"{CONNECTION}::test_who_makes_the_file_beside_others_waits_for_them_and_tries_again_but_not_for_ever",
    ),
)


def text_of(mutant: Mutant) -> str:
    """Return the file that a mutant changes, as it is."""
    return (ROOT / mutant.file).read_text(encoding="utf-8")


@contextmanager
def copy_with(*mutants: Mutant) -> Iterator[Path]:
    """Copy the engine and its tests, and make the mistakes in the copy."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as made:
        root = Path(made)
        for name in ("statemachine", "tests", "phases"):
            ignored = shutil.ignore_patterns("__pycache__", "sample")
            shutil.copytree(ROOT / name, root / name, ignore=ignored)
        shutil.copy(ROOT / "pyproject.toml", root)
        for mutant in mutants:
            changed = text_of(mutant).replace(mutant.old, mutant.new)
            (root / mutant.file).write_text(changed, encoding="utf-8")
        yield root


def failures(root: Path, *tests: str) -> str:
    """Return what pytest says where one of these tests fails on a copy, else nothing."""
    pytest = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        "-o",
        "timeout=200",
        *tests,
    ]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    ended = subprocess.run(pytest, cwd=root, check=False, capture_output=True, text=True, env=environment)
    if ended.returncode not in {0, 1}:
        raise AssertionError(f"{tests} could not be tried:\n{ended.stdout}\n{ended.stderr}")
    return ended.stdout if ended.returncode else ""


def matrix(mutants: Sequence[Mutant]) -> Iterator[str]:
    """Try every harness on every mutant; yield the lines of a Markdown table."""
    names = [Path(harness).stem.removeprefix("test_").replace("_", " ") for harness in HARNESSES]
    yield "| mistake | " + " | ".join(names) + " |"
    yield "|---|" + ":-:|" * len(names)
    with copy_with() as root:
        yield "| none | " + " | ".join("x" if failures(root, each) else "" for each in HARNESSES) + " |"
    for mutant in mutants:
        with copy_with(mutant) as root:
            caught = ["x" if failures(root, harness) else "" for harness in HARNESSES]
        yield f"| {mutant.name} | " + " | ".join(caught) + " |"


if __name__ == "__main__":
    for line in matrix(MUTANTS):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
