"""The texts of the sample as trees: what `threads.txt` and `patterns.txt` say."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

_HEADER: Final = re.compile(r"(at|by|score|text): (.*)")
_COMMENT: Final = re.compile(r"( *)- (?:\{([^}]*=[^}]*)\} )?(.+)")
_BULK: Final = re.compile(r"\* (\d+) (\w+)")


@dataclass(slots=True)
class Node:
    """One comment and its answers."""

    text: str
    author: str | None = None
    """`None` where chance decides."""
    score: int | None = None
    answers: list[Node] = field(default_factory=list["Node"])

    def walk(self) -> Iterator[tuple[Node, Node | None]]:
        """Yield each comment below this one with its parent, parents first."""
        for answer in self.answers:
            yield answer, self
            yield from answer.walk()


@dataclass(slots=True)
class Thread:
    """One post: `root` stands for the post itself, its answers are the top-level comments."""

    root: Node
    at: datetime
    selftext: str = ""
    bulk: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    """How many comments to make, and from which group of patterns."""


def parse_threads(text: str) -> list[Thread]:
    """Return the threads that `threads.txt` describes; its first lines explain the format."""
    sections = re.split(r"^== ", text, flags=re.MULTILINE)[1:]
    return [_thread(section.splitlines()) for section in sections]


def parse_patterns(text: str) -> dict[str, list[str]]:
    """Return the groups of `patterns.txt` by name."""
    sections = re.split(r"^\[(\w+)\]$", text, flags=re.MULTILINE)[1:]
    return {
        name: [line for line in body.splitlines() if line]
        for name, body in zip(sections[::2], sections[1::2], strict=True)
    }


def _thread(lines: list[str]) -> Thread:
    headers = {match[1]: match[2] for line in lines if (match := _HEADER.fullmatch(line))}
    root = Node(lines[0], headers["by"], int(headers["score"]))
    thread = Thread(root, datetime.fromisoformat(headers["at"]), headers.get("text", ""))
    path = [root]
    for line in lines[1:]:
        if match := _BULK.fullmatch(line):
            thread.bulk.append((int(match[1]), match[2]))
        elif match := _COMMENT.fullmatch(line):
            depth, node = len(match[1]) // 2, _node(match[2], match[3])
            path[depth].answers.append(node)
            path[depth + 1 :] = [node]
    return thread


def _node(said: str | None, text: str) -> Node:
    keys = dict(pair.split("=", 1) for pair in (said or "").split())
    body = json.loads(text) if text.startswith('"') else text
    return Node(body, keys.get("by"), int(keys["score"]) if "score" in keys else None)
