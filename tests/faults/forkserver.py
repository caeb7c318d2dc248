"""A process that has imported everything and forks a child for each life, with the shim preloaded.

`Server` starts it and is the other end of its pipes. A line holds one request or one answer: pickled, in base
64. A child that does not end in time is killed and reported as hanging, with the stacks of its threads.
"""

from __future__ import annotations

import base64
import faulthandler
import importlib
import os
import pickle
import select
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, Self

ROOT: Final = Path(__file__).parents[2]
HANGS_AFTER_S: Final = 40.0
"""A life takes hundredths of a second; waiting for a lock at most ten seconds."""

Job = tuple[Callable[..., Any], tuple[Any, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """How a child ended."""

    signal: int = 0
    report: Any = None
    """What the job returned, if it came to its end."""
    complaint: str = ""
    """A traceback or the stacks of a hanging child; empty where all is well."""

    @property
    def was_killed(self) -> bool:
        """Whether it died of the SIGKILL that a fault asked for."""
        return self.signal == signal.SIGKILL and not self.complaint


class Server:
    """The near end. Use it as a context manager."""

    def __init__(self, shim: Path | None) -> None:
        preload = {} if shim is None else {"LD_PRELOAD": str(shim)}
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from tests.faults import forkserver; forkserver.serve()"],
            cwd=ROOT,
            env={**os.environ, **preload},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._process.communicate()

    def run(self, function: Callable[..., Any], *args: Any) -> Death:
        """Run a job in a fresh child, and return how it ended."""
        return self.race([(function, args)])[0]

    def race(self, jobs: Sequence[Job]) -> list[Death]:
        """Run jobs in as many children, which all begin at the same moment."""
        assert self._process.stdin is not None, "it was opened with a pipe"
        assert self._process.stdout is not None, "it was opened with a pipe"
        _send(self._process.stdin, jobs)
        deaths: list[Death] = _receive(self._process.stdout)
        return deaths


def _send(to: IO[bytes], value: Any) -> None:
    to.write(base64.b64encode(pickle.dumps(value)) + b"\n")
    to.flush()


def _receive(source: IO[bytes]) -> Any:
    line = source.readline()
    if not line:
        raise EOFError("the fork server has gone; see its traceback above")
    return pickle.loads(base64.b64decode(line))


# --- the far end ---


class Rendezvous:
    """Where the children of one race meet: each says that it has decided, and may wait until all have.

    It is the write end of a pipe that all of them hold: who decides or dies lets go of it.
    """

    def __init__(self) -> None:
        self._read, self._write = os.pipe()

    def arrive(self) -> None:
        """Say that this child has decided."""
        if self._write >= 0:
            os.close(self._write)
            self._write = -1

    def wait(self) -> None:
        """Wait until every child has decided or died."""
        os.read(self._read, 1)

    def close(self) -> None:
        """Leave the pipe to the others."""
        self.arrive()
        os.close(self._read)


_met: list[Rendezvous] = []


def rendezvous() -> Rendezvous:
    """Return where the children of this race meet."""
    return _met[-1]


@dataclass(frozen=True, slots=True)
class _Child:
    pid: int
    answer: int
    stacks: IO[bytes]


def serve() -> None:
    """Answer requests until the pipe is closed."""
    importlib.import_module("tests.faults.life")  # paid once, here
    while True:
        try:
            jobs: list[Job] = _receive(sys.stdin.buffer)
        except EOFError:
            return
        _met[:] = [Rendezvous()]
        ready, go = os.pipe()
        children = [_fork(job, ready, go) for job in jobs]
        os.close(ready)
        rendezvous().close()
        os.close(go)  # now every child reads the end of this pipe, and begins
        _send(sys.stdout.buffer, [_end_of(child) for child in children])


def _fork(job: Job, ready: int, go: int) -> _Child:
    receive, answer = os.pipe()
    stacks = tempfile.TemporaryFile()  # noqa: SIM115  # closed once the child has ended
    pid = os.fork()
    if pid > 0:
        os.close(answer)
        return _Child(pid, receive, stacks)
    try:
        os.close(go)
        os.close(receive)
        faulthandler.register(signal.SIGUSR1, file=stacks, all_threads=True)
        os.read(ready, 1)
        os.write(answer, pickle.dumps(_outcome(*job)))
    finally:
        os._exit(0)


def _outcome(function: Callable[..., Any], args: tuple[Any, ...]) -> Death:
    try:
        return Death(report=function(*args))
    except BaseException:  # noqa: BLE001  # it is reported, whatever it is
        return Death(complaint=traceback.format_exc())


def _end_of(child: _Child) -> Death:
    said = b""
    while True:
        readable, _, _ = select.select([child.answer], [], [], HANGS_AFTER_S)
        if not readable:
            return _hanging(child)
        part = os.read(child.answer, 1 << 16)
        if not part:
            break
        said += part
    _, status = os.waitpid(child.pid, 0)
    os.close(child.answer)
    child.stacks.close()
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    if said:
        death: Death = pickle.loads(said)
        return death
    return Death(signal=number, complaint="" if number == signal.SIGKILL else f"died of signal {number}")


def _hanging(child: _Child) -> Death:
    os.kill(child.pid, signal.SIGUSR1)
    select.select([child.answer], [], [], 1.0)
    child.stacks.seek(0)
    said = child.stacks.read().decode()
    os.kill(child.pid, signal.SIGKILL)
    os.waitpid(child.pid, 0)
    os.close(child.answer)
    child.stacks.close()
    return Death(signal=signal.SIGKILL, complaint=f"it hangs:\n{said}")
