"""A database of a real run of the sample with hostile texts in it, and the explorer over it as a process."""

from __future__ import annotations

import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.sample_run import END_S, command, environment, sample_run

EVIL = "https://evil.example/pixel.png"
HOSTILE = (
    "<script>alert(1)</script><img src=https://evil.example/a onerror=alert(2)>",
    "</td></tr></table></section><style>@import url(https://evil.example/b)</style>",
    '"><svg onload=alert(3)><iframe src="https://evil.example/c"></iframe>',
    "{{ 7 * 7 }} {% include 'x' %} ]]> --></textarea><base href=https://evil.example>",
    EVIL,
    "javascript:alert(4)",
)


@contextmanager
def exploring(db: Path, **more: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Lend the address of an explorer's first page, and its process."""
    with subprocess.Popen(
        command("explore", "--db", str(db), "--port", "0", "--json"),
        env=environment(**more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
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
    return sample_run(tmp_path_factory.mktemp("explore") / "odd name #1?.db", HOSTILE)


@pytest.fixture(scope="module")
def page(db: Path) -> Iterator[str]:
    """The address of the explorer's first page."""
    with exploring(db) as (url, _):
        yield url
