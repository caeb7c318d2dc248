"""The threads that drive runs: thin shells around `Driver.step`, one for each run, no daemons."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from statemachine.connection import connect
from statemachine.contract import RunAbandoned, RunMovedOn, RunStopping
from statemachine.driver import Driver, failure
from statemachine.errors import FailureUnrecorded, ForeignRegistry, IllegalTransition, ThreadUnavailable
from statemachine.guard import PhaseConnection
from statemachine.keeper import Keeper
from statemachine.live import Live, Outcome
from statemachine.redaction import Redact
from statemachine.roster import Roster
from statemachine.store import Run
from statemachine.subscribers import Subscribers
from statemachine.table import FAIL

_log = logging.getLogger("phaseline.run")


class RunThreads:
    """Drives the runs of a roster, each on a thread and a connection of its own."""

    def __init__(
        self,
        db: Path,
        roster: Roster,
        keeper: Keeper,
        subscribers: Subscribers,
        *,
        new_driver: Callable[[PhaseConnection, Live], Driver],
        stopping: threading.Event,
        redact: Redact,
    ) -> None:
        """`stopping` asks every run to stop at its next check point."""
        self._db = db
        self._roster = roster
        self._keeper = keeper
        self._subscribers = subscribers
        self._new_driver = new_driver
        self._stopping = stopping
        self._redact = redact

    def launch(self, run: Run) -> None:
        """Start the thread of a run that the roster has adopted.

        Raises:
            ThreadUnavailable: The run was failed at once, or will be as soon as that can be written.
        """
        live = self._roster.live(run.id)
        assert live is not None, "adopted"
        thread = threading.Thread(
            target=self._drive, args=(live,), name=f"phaseline-run-{run.id}", daemon=False
        )
        self._roster.enlist(live, thread)
        try:
            self._keeper.start()
            thread.start()
            self._keeper.wake()
        except RuntimeError as error:
            message = f"no thread for the run: {error}"
            self._keeper.fail(live, Outcome(trigger=FAIL, code="error", message=message))
            self._roster.forget(live)
            raise ThreadUnavailable(f"run {run.id} was failed at once: {error}; free some memory") from error

    def step(self, run: Run) -> Run:
        """Take a run over exactly one edge on the calling thread; see `Driver.step`."""
        live = self._roster.claim(run)
        try:
            with self._connection() as conn:
                return self._new_driver(conn, live).step(run.id)
        finally:
            self._roster.forget(live)

    @contextmanager
    def _connection(self) -> Generator[PhaseConnection]:
        conn = connect(self._db, PhaseConnection, checkpoints=True)
        try:
            yield conn
        finally:
            conn.close_for_good()

    def _drive(self, live: Live) -> None:
        """Drive one run to its end, or to a deliberate stop: the body of the run's thread."""
        try:
            with self._connection() as conn:
                driver = self._new_driver(conn, live)
                try:
                    while driver.step(live.run_id).owner is not None:
                        if self._stopping.is_set():
                            raise RunStopping("the process is stopping")  # noqa: TRY301  # one way to stop
                except RunStopping:
                    _release(driver, live)
        except RunAbandoned:
            pass  # the watchdog has said everything
        except (RunMovedOn, ForeignRegistry, IllegalTransition) as error:
            _log.error("run %d was left: %s", live.run_id, error, extra=live.logged())  # no surprise
        except FailureUnrecorded as error:
            _log.error("%s; it is tried again", error, extra=live.logged())
            self._keeper.keep_trying(live, live.unwritten or failure(error, self._redact))
        except BaseException as error:  # noqa: BLE001  # nothing may leave a run without a thread and without a word
            outcome = failure(error, self._redact)
            _log.error("run %d could not be driven\n%s", live.run_id, outcome.trace, extra=live.logged())
            self._keeper.keep_trying(live, outcome)
        finally:
            self._roster.forget(live)
            self._subscribers.tell(live.run_id)


def _release(driver: Driver, live: Live) -> None:
    try:
        driver.release(live.run_id)
    except sqlite3.Error as error:
        _log.warning(
            "run %d stopped, which will count as a crash: %s", live.run_id, error, extra=live.logged()
        )
    else:
        _log.info("run %d stopped; it goes on at the next start", live.run_id, extra=live.logged())
