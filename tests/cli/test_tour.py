"""The trader's five minutes in the README, command by command on the bundled sample, in one go."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"


@pytest.mark.slow
def test_the_traders_tour_works_from_the_first_command_to_the_last(tmp_path: Path) -> None:
    tour = README.read_text(encoding="utf-8").split("## A trader's five minutes", 1)[1]
    blocks = re.findall(r"```console\n(.*?)```", tour.split("**Real data", 1)[0], re.DOTALL)
    commands = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
    own = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "HOME": str(tmp_path)}

    def typed(command: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(["sh", "-c", command], cwd=tmp_path, env=own, capture_output=True, check=False)

    ended = [typed(each) for each in commands]

    assert [(each, end.stderr) for each, end in zip(commands, ended, strict=True) if end.returncode] == []
    assert len(commands) == 6
    assert b"sold" in ended[3].stdout
    assert {b"manual", b"stop_loss", b"time_stop"} <= set(re.findall(rb'"(\w+)"', ended[5].stdout))
