"""A database of a real run of the sample with hostile texts in it, and the explorer over it as a process."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
END_S = 90
EVIL = "https://evil.example/pixel.png"
HOSTILE = (
    "<script>alert(1)</script><img src=https://evil.example/a onerror=alert(2)>",
    "</td></tr></table></section><style>@import url(https://evil.example/b)</style>",
    '"><svg onload=alert(3)><iframe src="https://evil.example/c"></iframe>',
    "{{ 7 * 7 }} {% include 'x' %} ]]> --></textarea><base href=https://evil.example>",
    EVIL,
    "javascript:alert(4)",
)


def environment(**more: str) -> dict[str, str]:
    """Return an environment that knows no setting of this machine."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("PHASELINE_")}
    return {**own, "PYTHONPATH": str(ROOT), **more}


def phaseline(*args: str, **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "api.cli", *args]
    return subprocess.run(
        command, env=environment(**more), capture_output=True, text=True, timeout=END_S, check=False
    )


@contextmanager
def exploring(db: Path, **more: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Lend the address of an explorer's first page, and its process."""
    command = [sys.executable, "-P", "-m", "api.cli", "explore", "--db", str(db), "--port", "0", "--json"]
    with subprocess.Popen(
        command, env=environment(**more), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())["url"], process
        finally:
            process.terminate()
            process.communicate(timeout=END_S)


def fetch(url: str, **request: Any) -> tuple[int, str, dict[str, str]]:
    """Return status, text and headers (lower case) of an answer."""
    asked = urllib.request.Request(url, **request)
    try:
        with urllib.request.urlopen(asked, timeout=END_S) as answer:
            return answer.status, answer.read().decode(), {k.lower(): v for k, v in answer.getheaders()}
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode(), {k.lower(): v for k, v in error.headers.items()}


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("explore") / "odd name #1?.db"
    made = phaseline("analyze", "--db", str(path), "--executor", "threads")
    assert made.returncode == 0, made.stderr
    with closing(sqlite3.connect(path)) as conn, conn:
        evidence = conn.execute("SELECT DISTINCT comment_id FROM signal_comments ORDER BY 1").fetchall()
        bodies = [(body, row[0]) for body, row in zip(HOSTILE, evidence, strict=False)]
        conn.executemany("UPDATE comments SET body = ? WHERE id = ?", bodies)
        conn.execute("UPDATE reddit_posts SET title = ?", (HOSTILE[0],))
        conn.execute(
            "UPDATE comments SET body = ?, reasoning_summary = NULL WHERE analyzer = 'guard-1'", (HOSTILE[2],)
        )
    return path


@pytest.fixture(scope="module")
def page(db: Path) -> Iterator[str]:
    """The address of the explorer's first page."""
    with exploring(db) as (url, _):
        yield url
