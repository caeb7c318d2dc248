"""Whether an owner lives is for the operating system to say, at once and whatever happened to it."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from statemachine.owner import Owner

HOLDER = """
import sys
from pathlib import Path
from statemachine.owner import Owner

owner = Owner(Path(sys.argv[1]))
print(owner.token, flush=True)
sys.stdin.read()
"""


@contextmanager
def holding(db: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Another process that is an owner, and its token."""
    command = [sys.executable, "-c", HOLDER, str(db)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
        process.kill()


@contextmanager
def owning(db: Path, token: int | None = None) -> Iterator[Owner]:
    owner = Owner(db, token=token)
    yield owner
    owner.close()


def test_an_owner_lives_until_it_lets_go(db: Path) -> None:
    with owning(db) as watcher:
        owner = Owner(db)
        assert owner.is_alive(owner.token)
        assert watcher.is_alive(owner.token)

        owner.close()
        owner.close()

        assert not watcher.is_alive(owner.token)
        assert watcher.is_alive(watcher.token)


@pytest.mark.parametrize("token", [None, "", "no number", "0", "1f", "0x1f", "deadbeef"])
def test_nobody_is_not_alive(db: Path, token: str | None) -> None:
    with owning(db) as owner:
        assert not owner.is_alive(token)


@pytest.mark.slow
def test_a_killed_process_is_dead_at_once(db: Path) -> None:
    with owning(db) as watcher, holding(db) as (process, token):
        for _ in range(3):
            assert watcher.is_alive(token), "asking does not take the lock away"
        process.send_signal(signal.SIGKILL)
        process.wait()

        assert not watcher.is_alive(token)


@pytest.mark.slow
def test_a_stopped_process_is_alive(db: Path) -> None:
    with owning(db) as watcher, holding(db) as (process, token):
        process.send_signal(signal.SIGSTOP)

        assert watcher.is_alive(token)


@pytest.mark.slow
def test_two_processes_see_each_other_and_asking_is_no_owning(db: Path) -> None:
    with owning(db) as watcher, holding(db) as (_, first), holding(db) as (_, second):
        assert first != second
        assert watcher.is_alive(first)
        assert watcher.is_alive(second)
        assert not watcher.is_alive("7")


def test_closing_one_owner_of_a_process_leaves_the_others_their_locks(db: Path) -> None:
    """Closing any descriptor of the file would drop all of the process's locks."""
    with owning(db) as kept:
        for _ in range(3):
            Owner(db).close()

        assert seen_by_another_process(db, kept.token)


def seen_by_another_process(db: Path, token: str) -> bool:
    program = (
        "import sys; from pathlib import Path; from statemachine.owner import Owner;"
        "sys.exit(not Owner(Path(sys.argv[1])).is_alive(sys.argv[2]))"
    )
    done = subprocess.run([sys.executable, "-c", program, db, token], check=False, timeout=60)
    return done.returncode == 0


@pytest.mark.slow
def test_the_same_file_under_another_name_is_the_same_file(db: Path, folder: Path) -> None:
    db.touch()
    link = folder / "link"
    link.symlink_to(db)
    with owning(db) as owner, owning(link) as other:
        assert other.is_alive(owner.token)
        assert seen_by_another_process(link, owner.token)


@pytest.mark.slow
def test_a_forked_child_does_not_keep_its_parents_runs(db: Path) -> None:
    """A killed owner would look alive while a child of it lives."""
    with owning(db) as watcher, owning(db) as owner:
        ready, told = os.pipe()
        child = os.fork()
        if child == 0:  # the fork holds copies of every descriptor, and outlives the owner
            os.write(told, b"x")
            signal.pause()
            os._exit(0)
        os.read(ready, 1)
        try:
            owner.close()
            assert not watcher.is_alive(owner.token)
            assert not seen_by_another_process(db, owner.token)
            assert seen_by_another_process(db, watcher.token)
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def test_owners_of_one_process_share_one_descriptor(db: Path) -> None:
    with owning(db):
        before = len(os.listdir("/dev/fd"))  # noqa: PTH208  # the names don't matter
        for _ in range(20):
            Owner(db).close()

        assert len(os.listdir("/dev/fd")) == before  # noqa: PTH208  # the same


@pytest.mark.slow
def test_a_child_that_ends_takes_nothing_from_its_parent(db: Path) -> None:
    with owning(db) as owner:
        child = os.fork()
        if child == 0:
            owner.close()
            os._exit(0)
        os.waitpid(child, 0)

        assert seen_by_another_process(db, owner.token)


@pytest.mark.slow
def test_a_forked_child_becomes_an_owner_of_its_own(db: Path) -> None:
    with owning(db) as owner:
        ready, told = os.pipe()
        go, gone = os.pipe()
        child = os.fork()
        if child == 0:
            of_its_own = Owner(db)
            os.write(told, of_its_own.token.encode())
            os.read(go, 1)
            os._exit(of_its_own.is_alive(owner.token))
        token = os.read(ready, 100).decode()
        assert owner.is_alive(token)
        assert token != owner.token
        owner.close()
        os.write(gone, b"x")
        _, status = os.waitpid(child, 0)

        assert os.waitstatus_to_exitcode(status) == 0, "the parent had let go"
    with owning(db) as watcher:
        assert not watcher.is_alive(token)


def test_a_token_that_another_process_holds_can_not_be_taken(db: Path) -> None:
    context = multiprocessing.get_context("fork")
    with owning(db, token=7):
        results = context.SimpleQueue()
        process = context.Process(target=_take, args=(db, results))
        process.start()
        process.join()

        assert results.get() == "taken"


def _take(db: Path, results: multiprocessing.SimpleQueue[str]) -> None:
    try:
        Owner(db, token=7)
    except OSError:
        results.put("taken")
    else:
        results.put("mine")


def test_two_processes_that_ask_at_once_do_not_take_each_other_for_the_owner(db: Path) -> None:
    """A shared lock stands in nobody's way but an owner's."""
    with owning(db) as owner:
        fork = multiprocessing.get_context("fork")
        asking, asked = fork.Event(), fork.Event()

        def ask() -> None:
            fcntl.lockf(os.open(f"{db}-owner", os.O_RDWR), fcntl.LOCK_SH, 1, 7)
            asking.set()
            asked.wait()

        process = fork.Process(target=ask)
        process.start()
        assert asking.wait(60)

        assert not owner.is_alive("7")

        asked.set()
        process.join()


def test_a_lock_file_that_was_removed_is_made_again(db: Path) -> None:
    with owning(db) as before:
        Path(f"{db}-owner").unlink()
        with owning(db) as after:
            assert after.is_alive(after.token)
        assert before.is_alive(before.token)
