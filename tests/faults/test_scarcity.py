"""A full disk, no descriptors, no memory: a clear end, and all is well once there is enough again."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.forkserver import Server
from tests.faults.scarcity import (
    Squeeze,
    few_descriptors,
    little_disk,
    little_memory,
    opened,
    squeezed,
)
from tests.faults.sweep import problems


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of two megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", disk], check=True)


def _heals(server: Server, db: Path, squeeze: Squeeze, spare: int, params: dict[str, Any]) -> dict[str, Any]:
    death = server.run(squeezed, db, squeeze, spare, params)

    assert death.complaint == ""
    assert death.report["again"] == "completed", death.report
    assert "running" not in death.report["first"], death.report
    assert problems(db) == []
    report: dict[str, Any] = death.report
    return report


def test_a_full_disk_fails_the_run_and_nothing_else(plain_server: Server, small_disk: Path) -> None:
    reports = [
        _heals(plain_server, small_disk / "runs.db", little_disk, spare, {"payload": 4_000})
        for spare in range(0, 400, 25)
    ]

    assert any("full" in str(report["error"]) for report in reports), reports
    assert any(report["error"] is None and report["first"][0] == "failed" for report in reports), reports
    assert reports[-1]["first"][0] == "completed"


def test_a_process_without_descriptors_fails_the_run_and_goes_on(
    plain_server: Server, tmp_path: Path
) -> None:
    reports = [_heals(plain_server, tmp_path / "runs.db", few_descriptors, spare, {}) for spare in range(8)]

    assert "failed" in reports[0]["first"] or reports[0]["error"]
    assert reports[-1]["first"][0] == "completed"


def test_a_process_without_memory_fails_the_run_and_goes_on(plain_server: Server, tmp_path: Path) -> None:
    reports = [
        _heals(plain_server, tmp_path / "runs.db", little_memory, spare, {"payload": 4_000_000})
        for spare in (0, 1, 4, 9, 12, 16, 24, 32, 40)
    ]

    assert any(report["error"] or report["first"][0] == "failed" for report in reports)


@pytest.mark.parametrize("squeeze", [few_descriptors, little_disk])
def test_a_start_without_means_says_what_is_missing(
    plain_server: Server, small_disk: Path, squeeze: Squeeze
) -> None:
    said = []
    for spare in range(10):
        folder = small_disk / str(spare)
        folder.mkdir()
        death = plain_server.run(opened, folder / "runs.db", squeeze, spare)
        assert death.complaint == ""
        said.append(death.report)
        assert plain_server.run(opened, folder / "runs.db", few_descriptors, 50).report == "ready"

    assert all(each == "ready" or each.startswith("DatabaseUnusable: ") for each in said), said
    assert said[0] != "ready"
