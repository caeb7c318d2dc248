"""The model of a run's life holds, refutes known mistakes, and takes exactly the edges of the one table."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from statemachine.table import COMPLETED, FAILED, INITIAL, TRIGGERS, edges

MODEL: Final = Path(__file__).with_name("run.pml")
PHASES: Final = ("one", "two")
STATES: Final = (INITIAL, *PHASES, COMPLETED, FAILED)
"""By the numbers that the model gives them."""

pytestmark = [pytest.mark.tier1, pytest.mark.timeout(300)]


def checked(folder: Path, law: str, *options: str, fair: bool = False) -> str:
    """Check a law of the model exhaustively; return what the checker says."""
    if shutil.which("spin") is None or shutil.which("cc") is None:
        pytest.skip("the model checker needs spin and cc (Debian: spin, gcc)")
    subprocess.run(["spin", "-a", *options, MODEL], cwd=folder, check=True, capture_output=True)
    flags = ["-O2", "-w", "-DPRINTF", "-DNFAIR=4", "-DVECTORSZ=1024", *options]
    subprocess.run(["cc", *flags, "-o", "pan", "pan.c"], cwd=folder, check=True)
    run = ["./pan", "-a", *(["-f"] if fair else []), "-m1000000", "-N", law]
    return subprocess.run(run, cwd=folder, check=True, capture_output=True, text=True).stdout


def errors(said: str) -> int:
    assert "max search depth too small" not in said
    found = re.search(r"errors: (\d+)", said)
    assert found is not None, said[-2000:]
    return int(found[1])


def test_rows_and_boundaries_agree_and_the_model_takes_the_edges_of_the_table(tmp_path: Path) -> None:
    said = checked(tmp_path, "safe")

    assert errors(said) == 0
    taken = {
        (TRIGGERS[int(trigger) - 1], STATES[int(source)], STATES[int(dest)])
        for trigger, source, dest in re.findall(r"edge (\d) (\d) (\d)", said)
    }
    assert taken == {(edge.trigger, edge.source, edge.dest) for edge in edges(PHASES)}


def test_every_run_ends_once_nobody_dies_any_more(tmp_path: Path) -> None:
    assert errors(checked(tmp_path, "live", fair=True)) == 0


@pytest.mark.parametrize("mistake", ["NO_OWNER_CHECK", "NO_CAS", "SPLIT_COMMIT", "LATE_ADOPTION"])
def test_the_model_refutes_an_unsafe_mistake(tmp_path: Path, mistake: str) -> None:
    assert errors(checked(tmp_path, "safe", f"-D{mistake}")) == 1


def test_the_model_refutes_that_nothing_recovers(tmp_path: Path) -> None:
    assert errors(checked(tmp_path, "live", "-DNO_RECOVERY", fair=True)) == 1
