"""Following a run: a live bar where a person watches, a line for each new phase elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol, Self

from api.cli.exits import Exit
from api.cli.text import clean, is_terminal, say

Status = Mapping[str, Any]
"""The resource `/runs/{id}/status`."""
LABEL_WIDTH = 28


class Display(Protocol):
    """Where progress is shown."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def show(self, status: Status) -> None:
        """Show how far a run is."""
        ...


def display(labels: Sequence[str] = (), entered: int | None = None) -> Display:
    """Return what suits the terminal, or its absence.

    Args:
        labels: Those of all phases in order, where they are known; then no phase goes unsaid, however quick.
        entered: The position of the phase that the run began in.
    """
    return Bar() if is_terminal() else Lines(labels, entered)


class Lines:
    """One line for each phase entered and for the end."""

    def __init__(self, labels: Sequence[str] = (), entered: int | None = None) -> None:
        self._labels = labels
        self._next = entered
        self._said = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, status: Status) -> None:
        """Say what is new."""
        self._say_what_was_missed(status)
        self._say(status, where(status))

    def _say_what_was_missed(self, status: Status) -> None:
        """Say the phases that came and went between two looks."""
        at, total = status["progress_current"], status["progress_total"]
        last = at if status["status"] == "running" else at + 1
        for position in range(self._next or at, last if self._labels else 0):
            self._say(status, f"{position}/{total} {self._labels[position - 1]}")
        self._next = max(self._next or at, at)

    def _say(self, status: Status, words: str) -> None:
        line = f"run {status['run_id']}: {words}"
        if line != self._said:
            self._said = line
            say(line)


class Bar:
    """A bar on stderr that moves with the phases and with the steps inside one."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415  # only where somebody watches
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415  # the same

        text = TextColumn("{task.description}", markup=False)
        step = TextColumn("{task.fields[step]}", markup=False, style="dim")
        columns = (SpinnerColumn(), text, BarColumn(bar_width=30), TimeElapsedColumn(), step)
        self._progress = Progress(*columns, console=Console(stderr=True))
        self._task = self._progress.add_task("starting", total=1.0, step="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, status: Status) -> None:
        """Move the bar."""
        self.move(
            f"run {status['run_id']}: {where(status)}",
            phases_done(status) / status["progress_total"],
            step=_step(status),
        )

    def move(self, words: str, share: float, *, step: str = "") -> None:
        """Show words and a share of one."""
        width = LABEL_WIDTH + 8
        self._progress.update(
            self._task, description=f"{clean(words, width):<{width}}", completed=share, step=step
        )


def where(status: Status) -> str:
    """Return the phase that a run is in, or how it has ended."""
    if status["status"] != "running":
        return str(status["status"])
    suffix = ", cancelling" if status.get("cancelling") else ""
    return f"{status['progress_current']}/{status['progress_total']} {status['phase_label']}{suffix}"


def phases_done(status: Status) -> float:
    """Return how many phases are done, the part of the one in progress included."""
    if status["status"] == "completed":
        return float(status["progress_total"])
    current, total = status["step_current"], status["step_total"]
    part = min(1.0, current / total) if current is not None and total else 0.0
    return float(status["progress_current"]) - 1 + part


def _step(status: Status) -> str:
    if status["step_current"] is None or status["status"] != "running":
        return ""
    total = "" if status["step_total"] is None else f" of {status['step_total']}"
    return f"{status['step_current']}{total} {clean(status['step_unit'] or '', 20)}"


def follow(
    look: Callable[[], Status], wait: Callable[[], None], show: Display, *, until: Callable[[], bool]
) -> Status:
    """Show a run until it ends or `until` says that nobody drives it any more; return its last status."""
    while True:
        nobody_left = until()  # asked first: what is read afterwards is then the last word
        status = look()
        show.show(status)
        if status["status"] != "running" or nobody_left:
            return status
        wait()


def exit_code(status: Status) -> Exit:
    """Return what a run's end means to the shell; one that still runs was interrupted."""
    if status["status"] == "running":
        return Exit.INTERRUPTED
    if status["error_code"] == "cancelled":
        return Exit.CANCELLED
    return Exit.OK if status["status"] == "completed" else Exit.FAILED
