"""Errors of the engine. Each message says what was asked, what was found and what to do.

    PhaselineError
    ├── RegistryError          the list of phases is not usable
    ├── DatabaseUnusable       the file can't be opened, is damaged or was written by a newer version
    ├── StoreBusy              somebody holds the write lock; try again in a moment
    ├── RunNotFound            no run has this id
    ├── AlreadyRunning         the limit of active runs is reached
    ├── KeyReused              the idempotency key was used with another request
    ├── IllegalTransition      no edge of the table allows this
    ├── ForeignRegistry        the run belongs to another list of phases
    ├── RunOwned               a living process drives this run
    ├── ForbiddenStatement     a phase tried to end the transaction or to touch the engine's tables
    ├── TransactionLost        the transaction was ended under the phase
    ├── WorkerDied             worker processes of `ctx.map` keep dying
    ├── ThreadUnavailable      the system gave no thread for the run
    └── FailureUnrecorded      a run failed, and that could not be written yet

What a phase must let pass (`StopPhase` and its children) is in `contract.py`.
"""

from __future__ import annotations


class PhaselineError(Exception):
    """Base of all errors that the engine raises on purpose."""


class RegistryError(PhaselineError):
    """The list of phases is not usable; the message names the entry."""


class DatabaseUnusable(PhaselineError):
    """The database file can't be opened, is damaged, or was written by a newer version."""


class StoreBusy(PhaselineError):
    """Another connection holds the write lock; try again in a moment."""


class RunNotFound(PhaselineError):
    """No run has this id."""

    def __init__(self, run_id: int) -> None:
        super().__init__(f"there is no run {run_id}; `phaseline runs` lists them")
        self.run_id = run_id


class AlreadyRunning(PhaselineError):
    """The limit of active runs is reached."""

    def __init__(self, active_run_id: int) -> None:
        super().__init__(f"run {active_run_id} is still active; wait for it, or cancel it, then ask again")
        self.active_run_id = active_run_id


class KeyReused(PhaselineError):
    """The idempotency key was already used with another request."""


class IllegalTransition(PhaselineError):
    """No edge of the table allows this trigger from this state; nothing was moved."""

    def __init__(self, run_id: int, trigger: str, state: str, allowed: tuple[str, ...]) -> None:
        super().__init__(
            f"can't {trigger} run {run_id}: it is in {state!r}, "
            f"which allows {', '.join(allowed) or 'nothing more'}"
        )
        self.run_id = run_id
        self.trigger = trigger
        self.state = state
        self.allowed = allowed


class ForeignRegistry(PhaselineError):
    """The run was started with another list of phases, so this process leaves it alone."""


class RunOwned(PhaselineError):
    """A living process drives this run; it is never taken over."""


class ForbiddenStatement(PhaselineError):
    """A phase tried to end the transaction, set a PRAGMA or touch the engine's tables."""


class TransactionLost(PhaselineError):
    """The transaction was ended under the phase, so its later rows would be half a phase."""


class WorkerDied(PhaselineError):
    """Worker processes of `ctx.map` died again and again without finishing an item."""


class ThreadUnavailable(PhaselineError):
    """The system gave no thread for the run, so it was failed at once."""


class FailureUnrecorded(PhaselineError):
    """A run failed, and that could not be written; it is tried again on a fresh connection."""
