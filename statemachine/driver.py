"""The driver: takes a run over exactly one edge. It has no thread of its own.

`Driver.step` reads the row, runs the phase that the row names and takes the edge that the outcome asks for.
What a boundary makes durable - the phase's rows, the run's row, the event - is one COMMIT, here and in
`check_point`, and nowhere else. When a phase ends, the first that applies decides: it raised (`fail`), it is
late (`time_out`), a cancel waits (`cancel`), otherwise `advance`; a deliberate stop takes no edge.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import sqlite3
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, cast

from statemachine.clock import stamp
from statemachine.context import Context, Mapper
from statemachine.contract import Clock, Json, RunCancelled, RunMovedOn, RunStopping
from statemachine.errors import (
    FailureUnrecorded,
    ForeignRegistry,
    IllegalTransition,
    RunOwned,
    TransactionLost,
)
from statemachine.guard import PhaseConnection
from statemachine.live import Live, Outcome, Step, driving
from statemachine.machine import MAX_MESSAGE, Boundary, take
from statemachine.owner import Owner
from statemachine.redaction import Redact, capped, redacted
from statemachine.registry import Registry
from statemachine.store import CancelWaiting, Results, Run, RunStore, dumps
from statemachine.table import ADVANCE, CANCEL, FAIL, RESUME, TIME_OUT, allowed

_log = logging.getLogger("phaseline.run")

MAX_TRACEBACK: Final = 16_000
"""Longest stored traceback, in characters."""
CANCELLED: Final = "Cancelled on request"
INTERRUPTED: Final = "Process restart detected; previous run did not complete"

ToolsFactory = Callable[[Mapping[str, Json]], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What becomes of a run whose process died."""

    mode: Literal["resume", "fail"] = "resume"
    max_attempts: int = 3
    """Further times that one phase may be entered after crashes."""


def failure(error: BaseException, redact: Redact) -> Outcome:
    """Return the `fail` edge of an exception: its message, its type's name where that is empty."""
    trace = redact("".join(traceback.format_exception(error)))
    message = redact(_text(error)).strip() or type(error).__name__
    return Outcome(
        trigger=FAIL,
        code="error",
        message=capped(message, MAX_MESSAGE),
        detail={"error": type(error).__name__, "traceback": capped(trace, MAX_TRACEBACK)},
        trace=trace,
    )


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001  # it is somebody else's __str__, and the run must fail all the same
        return ""


def take_over(
    registry: Registry, store: RunStore, run: Run, *, owner: str, recovery: Recovery, at: str
) -> Run:
    """Take one edge with a run that has no living owner, inside the caller's transaction.

    `resume` into the phase of its last boundary; `cancel` where that was asked for; `fail` where recovery is
    set so, or the phase was entered too often. A run that was stopped on purpose has no owner and has not
    crashed: its attempts start again.
    """
    crashed = run.owner is not None
    attempt = run.attempt + 1 if crashed else 1
    detail = {"owner_died": True} if crashed else {"stopped": True}
    outcome = Outcome(trigger=RESUME, detail=detail)
    if store.read(run.id).cancel_requested:  # perhaps since `run` was read
        outcome = Outcome(trigger=CANCEL, code="cancelled", message=CANCELLED, detail=detail)
    elif recovery.mode == "fail":
        outcome = Outcome(trigger=FAIL, code="interrupted", message=INTERRUPTED, detail=detail)
    elif attempt > 1 + recovery.max_attempts:
        message = f"{run.phase_label!r} was entered {run.attempt} times and its process died each time"
        outcome = Outcome(trigger=FAIL, code="attempts_exhausted", message=message, detail=detail)
    boundary = Boundary(
        at=at,
        owner=owner,
        attempt=attempt,
        active_s=run.active_s,
        error_code=outcome.code,
        error_message=outcome.message,
        detail=outcome.detail,
    )
    return take(registry, store, run, outcome.trigger, boundary)


class Driver:
    """Drives one run on one connection; everything it decides can be exercised without a thread."""

    def __init__(
        self,
        conn: PhaseConnection,
        registry: Registry,
        live: Live,
        *,
        owner: Owner,
        tools: ToolsFactory,
        mapper: Mapper,
        redact: Redact,
        recovery: Recovery,
    ) -> None:
        self._conn = conn
        self._registry = registry
        self._live = live
        self._owner = owner
        self._tools = tools
        self._mapper = mapper
        self._redact = redact
        self._recovery = recovery
        self._store = RunStore(conn)
        self._run: Run | None = None
        live.conn = conn

    @property
    def _clock(self) -> Clock:
        return self._live.clock

    def step(self, run_id: int) -> Run:
        """Take a run over one edge and return it as it is then.

        Raises:
            IllegalTransition: The run has ended.
            RunOwned: A living process drives it.
            ForeignRegistry: It was started with another list of phases.
            RunStopping: It was stopped on purpose at a check point; no edge was taken.
            RunMovedOn: Another owner moved it meanwhile; nothing was written.
            RunAbandoned: The watchdog failed it meanwhile; nothing was written.
            FailureUnrecorded: It failed, and the database could not take that.
        """
        with self._conn.engine():
            run = self._store.read(run_id)
        if run.registry != self._registry.fingerprint:
            raise ForeignRegistry(
                f"run {run_id} was started with other phases; use the process that was started with them"
            )
        if run.state not in self._registry.positions:
            raise IllegalTransition(run_id, ADVANCE, run.state, allowed(self._registry.edges, run.state))
        if run.owner != self._owner.token:
            return self._take_over(run)
        return self._run_phase(run)

    def release(self, run_id: int) -> None:
        """Let a run go on purpose, so that the next process resumes it without counting a crash.

        What was written since the last check point is discarded.
        """
        with self._conn.engine():
            self._conn.end("ROLLBACK")
            run = self._store.read(run_id)
            self._conn.begin()
            free = self._store.let_go(
                run, at=self._now(), active_s=self._live.active_s(), cancelling=self._live.cancelling
            )
            self._commit_with_notes(free)

    def _now(self) -> str:
        return stamp(self._clock.now())

    def _take_over(self, run: Run) -> Run:
        if self._owner.is_alive(run.owner):
            raise RunOwned(f"run {run.id} is driven by a living process; it is left alone")
        with self._conn.engine():
            self._conn.begin()
            try:
                taken = take_over(
                    self._registry,
                    self._store,
                    run,
                    owner=self._owner.token,
                    recovery=self._recovery,
                    at=self._now(),
                )
                self._conn.end("COMMIT")
            except BaseException:
                self._conn.end("ROLLBACK")
                raise
        self._live.active_before_s = taken.active_s
        return taken

    # --- one phase ---

    def _run_phase(self, run: Run) -> Run:
        self._run = run
        self._live.phase, self._live.attempt = run.state, run.attempt
        self._live.step, self._live.said = None, lambda: run.warnings
        if run.cancel_requested or self._live.cancelling:
            return self._leave(Outcome(trigger=CANCEL, code="cancelled", message=CANCELLED))
        self._conn.reset()
        ended: BaseException | None = None
        results: Results = {}
        try:
            context = Context(
                run,
                self._live,
                tools=self._tools(run.params),
                check_point=self.check_point,
                mapper=self._mapper,
                redact=self._redact,
            )
            results, self._live.said = context.results, context.warnings.copy
            with driving(self._live):
                self._registry.phase_of(run.state).function(self._conn, context)
        except BaseException as error:  # noqa: BLE001  # whatever a phase raises becomes an edge, here only
            ended = error
        self._conn.reset()
        self._live.warn_if_slow()
        outcome = self._outcome(ended)
        if outcome.trigger == ADVANCE:
            advanced = self._advance(results)
            if isinstance(advanced, Run):
                return advanced
            outcome = advanced
        return self._leave(outcome)

    def _outcome(self, ended: BaseException | None) -> Outcome:
        """Return the edge that the end of a phase asks for; raise where it may take none."""
        self._conn.raise_if_revoked()
        live = self._live
        if isinstance(ended, RunStopping) and live.stopping():
            raise ended
        if isinstance(ended, RunMovedOn) and not self._is_ours():
            raise ended
        cancelled = isinstance(ended, RunCancelled) and live.cancelling
        if ended is not None and not cancelled:
            return failure(ended, self._redact)
        if live.is_late:
            return Outcome(trigger=TIME_OUT, code="timeout", message=live.limits.message)
        if live.cancelling:
            return Outcome(trigger=CANCEL, code="cancelled", message=CANCELLED)
        return Outcome(trigger=ADVANCE)

    def _is_ours(self) -> bool:
        assert self._run is not None, "a phase is running"
        with self._conn.engine():
            now = self._store.read(self._run.id)
        return (now.owner, now.version) == (self._run.owner, self._run.version)

    def _boundary(self, outcome: Outcome, results: Results | None) -> Boundary:
        return Boundary(
            at=self._now(),
            owner=self._owner.token,
            active_s=self._live.active_s(),
            results=results,
            warnings=self._live.said(),
            error_code=outcome.code,
            error_message=outcome.message,
            detail=outcome.detail,
        )

    def _advance(self, results: Results) -> Run | Outcome:
        """Commit the boundary; return the run, or the edge to take instead where it can't be committed."""
        try:
            return self._take(Outcome(trigger=ADVANCE), self._saved(results))
        except CancelWaiting:
            return Outcome(trigger=CANCEL, code="cancelled", message=CANCELLED)
        except (sqlite3.Error, TransactionLost, TypeError, ValueError, RecursionError) as error:
            return failure(error, self._redact)

    def _leave(self, outcome: Outcome) -> Run:
        """Take an edge into `failed`; its `before` discards the open transaction."""
        assert self._run is not None, "a phase has ended"
        self._say(outcome)
        try:
            return self._take(outcome, None)
        except sqlite3.Error as error:
            self._live.unwritten = dataclasses.replace(outcome, warnings=self._live.said())
            raise FailureUnrecorded(
                f"run {self._run.id} failed ({outcome.message}) and the database could not take it: {error}"
            ) from error

    def _saved(self, results: Results) -> Results:
        """Return results as they are stored: without secrets, and out of the phase's reach."""
        return cast("Results", redacted(json.loads(dumps(results)), self._redact))

    def _take(self, outcome: Outcome, results: Results | None) -> Run:
        conn, run = self._conn, self._run
        assert run is not None, "a phase has ended"
        with conn.engine():
            conn.raise_if_revoked()
            boundary = self._boundary(outcome, results)
            moved = take(
                self._registry,
                self._store,
                run,
                outcome.trigger,
                boundary,
                begin=conn.begin,
                roll_back=lambda: conn.end("ROLLBACK"),
            )
            self._commit_with_notes(moved)
        self._live.step = None
        self._live.changed()
        return moved

    def _commit_with_notes(self, run: Run) -> None:
        """Store the refused steps that waited for this commit, and commit."""
        notes = list(self._live.notes)
        for note in notes:
            self._store.record_refusal(run, state=note.state, trigger=note.trigger, why=note.why, at=note.at)
        self._conn.end("COMMIT")
        for _ in notes:
            self._live.notes.popleft()

    def _say(self, outcome: Outcome) -> None:
        assert self._run is not None, "a phase has ended"
        _log.log(
            logging.INFO if outcome.trigger == CANCEL else logging.ERROR,
            "run %d: %s in %r: %s%s",
            self._run.id,
            outcome.trigger,
            self._run.phase_label,
            outcome.message,
            f"\n{outcome.trace}" if outcome.trace else "",
            extra={**self._live.logged(), "action": outcome.trigger},
        )

    # --- check points ---

    def check_point(self, context: Context) -> None:
        """Commit the rows so far with progress, warnings and results; see `RunContext.checkpoint`."""
        conn, live, run = self._conn, self._live, self._run
        assert run is not None, "a phase is running"
        with conn.engine():
            conn.raise_if_revoked()
            if live.cancelling:
                conn.end("ROLLBACK")
                raise RunCancelled(
                    f"run {run.id} was cancelled; the rows since the last check point are discarded"
                )
            saved = self._as_of_now(run, context)
            conn.begin()
            try:
                self._save(run, saved)
                self._commit_with_notes(saved)
            except Exception:
                conn.spoil()
                raise
            self._run = saved
        live.changed()
        if live.stopping():
            raise RunStopping("the process is stopping; what was check pointed is kept")

    def _as_of_now(self, run: Run, context: Context) -> Run:
        step = self._live.step or Step(None, None, None)
        return dataclasses.replace(
            run,
            step_current=step.current,
            step_total=step.total,
            step_unit=step.unit,
            warnings=context.warnings.copy() or None,
            results=self._saved(context.results),
            active_s=self._live.active_s(),
            updated_at=max(self._now(), run.updated_at),
            version=run.version + 1,
        )

    def _save(self, run: Run, saved: Run) -> None:
        try:
            self._store.save(run, saved, even_if_cancelled=False)
        except CancelWaiting:
            self._live.cancelling = True
            self._conn.end("ROLLBACK")
            raise RunCancelled(
                f"run {run.id} was cancelled; the rows since the last check point are discarded"
            ) from None
        except RunMovedOn:
            self._conn.end("ROLLBACK")
            raise
