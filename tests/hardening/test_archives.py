"""Archives made to harm: too large, too dense, too deep, too long, or slow to read."""

from __future__ import annotations

import gzip
import json
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest
import zstandard

import phases.analyzers.cues
import phases.analyzers.reasoning
import phases.analyzers.stance
import phases.analyzers.text
import phases.analyzers.tickers
import phases.analyzers.tokens
import phases.annotations
import phases.prioritize_comments
import phases.sources.records
import statemachine.redaction
from api.cli.text import clean as clean_for_terminals
from phases.analyzers.lexicon import annotate
from phases.sources.archive import MAX_UNPACKED_BYTES, ArchiveSource
from phases.sources.lines import MAX_LINE_BYTES
from phases.tools import Excerpt, Skipped, SourceItem, SourceUnavailable
from statemachine.redaction import redactor

AS_OF = datetime(2025, 3, 12, 18, 0, tzinfo=UTC)
LIMIT_BYTES = 2**21
BOMB_BYTES = 2**24
PACKED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, 9),
    "gzip twice": lambda data: gzip.compress(gzip.compress(data, 9), 9),
    "zstandard that states its size": zstandard.ZstdCompressor().compress,
    "zstandard of unknown size": zstandard.ZstdCompressor(write_content_size=False).compress,
}


def read(path: Path, max_bytes: int = MAX_UNPACKED_BYTES) -> list[SourceItem]:
    source = ArchiveSource([path], max_bytes=max_bytes)
    return list(source.read(subreddit="wallstreetbets", as_of=AS_OF, progress=lambda *_: None))


@pytest.mark.slow
@pytest.mark.parametrize("form", [form for form in PACKED if form != "gzip twice"])
@pytest.mark.parametrize("lines", ["one", "many"])
def test_a_dense_bomb_is_cut_off_and_told(tmp_path: Path, form: str, lines: str) -> None:
    data = b"x" * BOMB_BYTES if lines == "one" else ((b"{}" + b" " * 1021 + b"\n") * (BOMB_BYTES // 1024))
    path = tmp_path / "bomb"
    path.write_bytes(PACKED[form](data))

    with pytest.raises(SourceUnavailable) as told:
        read(path, LIMIT_BYTES)

    assert path.stat().st_size < BOMB_BYTES / 100
    assert str(told.value) == (
        f"the archives unpack to more than {LIMIT_BYTES:,} bytes, reached in {path}, which looks like a "
        "decompression bomb; check where the file comes from, or split it"
    )


def test_a_bomb_inside_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb"
    path.write_bytes(PACKED["gzip twice"](b"x" * BOMB_BYTES))

    assert all(isinstance(item, Skipped) for item in read(path, LIMIT_BYTES))


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"body":', b'[{"a":'])
def test_a_line_nested_too_deep_is_bad_json_and_the_next_is_read(tmp_path: Path, opening: bytes) -> None:
    row = json.dumps({"id": "p1", "title": "t", "created_utc": 1_700_000_000}).encode()
    path = tmp_path / "deep"
    path.write_bytes(opening * (MAX_LINE_BYTES // 8) + b"\n" + row)

    skipped, post = read(path)

    assert skipped == Skipped(reason="bad_json", detail="deep line 1")
    assert not isinstance(post, Skipped)


def test_a_line_that_is_too_long_is_told_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "long"
    path.write_bytes(b" " * (3 * MAX_LINE_BYTES) + b"\n{}")

    assert read(path)[0] == Skipped(reason="line_too_long", detail="long line 1")


@pytest.mark.parametrize("number", ["1" * 100_000, "1e999999", "-" + "9" * 5_000, "NaN", "Infinity"])
def test_a_number_without_end_is_no_number(tmp_path: Path, number: str) -> None:
    path = tmp_path / "numbers"
    path.write_text(f'{{"id": "p1", "title": "t", "created_utc": {number}, "score": {number}}}')

    assert [type(item) for item in read(path)] == [Skipped]


# --- patterns ---

MODULES: tuple[ModuleType, ...] = (
    phases.analyzers.cues,
    phases.analyzers.reasoning,
    phases.analyzers.stance,
    phases.analyzers.text,
    phases.analyzers.tickers,
    phases.analyzers.tokens,
    phases.annotations,
    phases.prioritize_comments,
    phases.sources.records,
    statemachine.redaction,
)
PIECES = (
    "a", "A", "1", " ", ".", "-", "'", "$", ">", "\n", "&amp;", "$A", "1,", "a-", "a'b", "![", "](", "u/",
    "http://", "://a:", "?key=", "bearer ", "token=", "sk-", "[", "\u0301", "\u200b",
)  # fmt: skip
CHARS = 2_500
WHOLE: Final = frozenset({"_STRIKE", "WELL_FORMED", "_ID"})
"""Patterns that only ever meet a whole token."""
GROWTH = 8.0
"""Four times the text takes about four times as long; a quadratic pattern takes sixteen times."""
TRIES = 4
"""A collection of garbage may fall into one; a quadratic pattern fails in all."""
FEW_S = 0.03
"""What takes less than this on the longer text is not worth a second look."""


def patterns() -> dict[str, Callable[[str], object]]:
    """Return each pattern that meets a stranger's text, by its name, as it is used."""
    found: dict[str, Callable[[str], object]] = {}
    for module in MODULES:
        for name, value in vars(module).items():
            for index, each in enumerate(value if isinstance(value, tuple) else (value,)):
                pattern = each[0] if isinstance(each, tuple) else each
                if isinstance(pattern, re.Pattern):
                    use = pattern.fullmatch if name in WHOLE else pattern.findall
                    found[f"{module.__name__}.{name}.{index}"] = use
    return found


def whole(text: str) -> object:
    return annotate(Excerpt(body=text))


READERS = {**patterns(), "redactor": redactor(["secret"]), "terminal": clean_for_terminals, "lexicon": whole}


def took_s(reader: Callable[[str], object], text: str) -> float:
    """Return the processor time: of the work, not of the machine's other business."""
    began = time.process_time()
    reader(text)
    return time.process_time() - began


def is_linear(reader: Callable[[str], object], short: str, long: str) -> bool:
    long_s = took_s(reader, long)
    return long_s < FEW_S or long_s < GROWTH * took_s(reader, short)


def test_the_patterns_were_found() -> None:
    assert len(READERS) >= 18


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_reading_a_text_takes_time_linear_in_it(name: str) -> None:
    reader = READERS[name]

    for piece in PIECES:
        short, long = (piece * (chars // len(piece)) + "\x01!" for chars in (CHARS, 4 * CHARS))
        assert any(is_linear(reader, short, long) for _ in range(TRIES)), piece


def test_the_look_for_slow_patterns_finds_one() -> None:
    slow = re.compile(r"a*b").findall

    assert not any(is_linear(slow, "a" * 4_000, "a" * 16_000) for _ in range(TRIES))
