"""A life in a process of its own, as a person would start it: signals reach it, and nothing is forked.

`python -m tests.faults.process LIFE`, with a pickled `Life` in base 64. It writes `pause` to its output
when it waits for a byte of input, and its report as the last line.
"""

from __future__ import annotations

import base64
import json
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.faults.forkserver import ROOT
from tests.faults.life import Life, live


class Process:
    """The near end."""

    def __init__(self, life: Life) -> None:
        said = base64.b64encode(pickle.dumps(life)).decode()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.process", said],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def wait_for_pause(self) -> None:
        """Return once it has come to the moment in which it is to wait."""
        assert self._process.stdout is not None, "it was opened with a pipe"
        assert self._process.stdout.readline() == b"pause\n"

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def stop(self) -> None:
        """Send it SIGTERM, and return once it has heard."""
        self.signal(signal.SIGTERM)
        assert self._process.stdout is not None, "it was opened with a pipe"
        assert self._process.stdout.readline() == b"stopping\n"

    def kill(self) -> None:
        """Kill it with SIGKILL, and return once it is gone."""
        self.signal(signal.SIGKILL)
        self._process.communicate()

    def go_on(self) -> dict[str, Any]:
        """Let it go on to its end, and return its report."""
        said, _ = self._process.communicate(b".")
        report: dict[str, Any] = json.loads(said.splitlines()[-1])
        return report


@contextmanager
def paused(life: Life) -> Iterator[Process]:
    """Start a process and give it once it waits; kill it at the end if it still is there."""
    process = Process(life)
    try:
        process.wait_for_pause()
        yield process
    finally:
        process.kill()


if __name__ == "__main__":
    sys.stdout.write(json.dumps(live(pickle.loads(base64.b64decode(sys.argv[1])))) + "\n")
