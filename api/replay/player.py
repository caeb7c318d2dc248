"""Playing a replay: one run after the other through the ordinary engine, each noted when it has completed."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from api.params import Asked, pin
from api.pipeline import Pipeline
from api.replay.ledger import PART, SCHEMA, Ledger, NotThisReplay
from api.replay.plan import Moment, Plan
from api.settings import Settings
from api.toolbox import build_tools
from api.wiring import Deferred, open_runner
from phases.stamps import stamp
from phases.tools import PricesUnavailable, Quote, Source, Tools
from statemachine.contract import Clock, Json
from statemachine.runner import Runner
from statemachine.store import Run

Status = Mapping[str, Any]
"""How a run stands, as `/runs/{id}/status` says it."""
Drive = Callable[[Moment, Run], Status]
"""Waits until a run has ended, or was stopped."""


class Toolmaker:
    """Makes the tools of each run. The archive, the prices and the chains are the same for all."""

    def __init__(self, settings: Settings) -> None:
        self.source: Source | None = None
        """Stands for the source that the params name, once it is set."""
        self._settings = settings
        self._shared: Tools | None = None

    def __call__(self, params: Mapping[str, Json]) -> object:
        """Return a run's tools, to be built when a phase first asks for one."""
        return Deferred(lambda: self.tools(params))

    def tools(self, params: Mapping[str, Json]) -> Tools:
        """Return a run's tools."""
        own = build_tools(params, self._settings)
        self._shared = self._shared or own
        source = self.source or own.source
        return replace(own, source=source, prices=self._shared.prices, chains=self._shared.chains)


def open_replay(settings: Settings, pipeline: Pipeline, tools: Toolmaker) -> Runner:
    """Open the database with a replay's own tables; raises `DatabaseUnusable`."""
    return open_runner(settings, pipeline, tools=tools, parts={PART: SCHEMA})


@contextmanager
def workplace(db: Path) -> Generator[Path]:
    """Lend a private, empty folder beside the database, to one process at a time.

    What a killed replay left there is removed; so is everything at the end.

    Raises:
        NotThisReplay: Another process replays in this database.
    """
    folder = Path(f"{db}-slices")
    db.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(f"{db}-replay", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _hold(lock, db)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder)
    finally:
        os.close(lock)


def _hold(lock: int, db: Path) -> None:
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise NotThisReplay(f"another process replays in {db}; wait for it, or name another --db") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Player:
    """What playing needs."""

    plan: Plan
    settings: Settings
    clock: Clock
    runner: Runner
    ledger: Ledger
    tools: Toolmaker

    def play(self, moments: Sequence[Moment], drive: Drive) -> Iterator[tuple[Moment, Status]]:
        """Run moments in order and yield how each run ended; stop at the first that did not complete.

        What a killed replay left half done is gone on with, a failed run from the phase that failed.
        """
        self.runner.recover()
        for moment in moments:
            status = drive(moment, self._entered(moment))
            is_whole = status["status"] == "completed"
            if is_whole:
                self.ledger.note(moment, status["run_id"], self._benchmark(moment))
            yield moment, status
            if not is_whole:
                return

    def _entered(self, moment: Moment) -> Run:
        run = self.ledger.run_of(moment)
        if run is None:
            return self.runner.start(self.params(moment))
        return self.runner.resume(run.id) if run.status == "failed" else run

    def params(self, moment: Moment) -> dict[str, Json]:
        """Return what the run of a moment is told."""
        asked = {**self.plan.params, "as_of": stamp(moment.as_of), "replay": moment.day.isoformat()}
        return pin(Asked(params=asked), self.settings, self.clock.now())

    def _benchmark(self, moment: Moment) -> Quote | None:
        prices = self.tools.tools(self.params(moment)).prices
        try:
            return prices.quote(self.plan.benchmark, moment.as_of)
        except PricesUnavailable:
            return None
