"""Write `reddit.ndjson` and `prices.csv`: `python -m phases.sample.build`. A test holds them fresh."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from phases.sample import SAMPLE_AS_OF, SAMPLE_LATER
from phases.sample.conversation import Node, Thread, parse_patterns, parse_threads
from phases.sample.dice import Dice
from phases.sample.market import prices_csv

HERE: Final = Path(__file__).parent
SEED: Final = 20250312
AUTHORS: Final = 135
BASE36: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
GONE: Final = frozenset({"[deleted]", "[removed]"})
LAST_COMMENT_BEFORE_AS_OF: Final = timedelta(minutes=4)
LONGEST_THREAD: Final = timedelta(hours=6)
MAX_DEPTH: Final = 5

_ADJECTIVES: Final = (
    "leveraged", "unhedged", "caffeinated", "overnight", "margined", "sideways", "delta", "crayon",
    "sleepy", "rogue", "parabolic", "frugal", "feral", "tactical", "midnight", "accidental",
)  # fmt: skip
_NOUNS: Final = (
    "walrus", "accountant", "raccoon", "janitor", "goblin", "dentist", "lobster", "penguin",
    "plumber", "badger", "teapot", "ferret",
)  # fmt: skip
_NOISE: Final = (
    "not financial advice", "trust me bro", "position or ban", "source: a dream", "lol", "💎🙌",
    "my landlord agrees", "ask me friday", "I have no idea what I'm doing", "the line told me so",
    "sent from the breadline", "no thoughts, just vibes", "see you in the soup kitchen", "🌈🐻 beware",
    "I eat crayons for breakfast", "this is the way down", "mods are asleep", "we ride at dawn",
    "checked the chart upside down to be sure", "wake me when it's over", "my dog called it",
    "printer sounds", "have a nice day", "tendies are a state of mind",
)  # fmt: skip
_WHEN: Final = (
    "into friday", "for april", "by opex", "this week", "next week", "before lunch", "until summer",
    "at the open", "into the close", "after the weekend",
)  # fmt: skip
_PRICES: Final = {"nvda": (109, 140), "tsla": (200, 262), "spy": (548, 572)}


@dataclass(slots=True)
class Cast:
    """Who speaks: some a lot, most once or twice; nobody answers themselves."""

    dice: Dice
    names: tuple[str, ...]
    spoken: set[str] = field(default_factory=set[str])
    """Who already spoke in the thread at hand."""

    def choose(self, parent: Node | None, *, fresh: bool) -> str:
        """Return somebody else than the parent's author; with `fresh` one who is new to the thread."""
        free = [name for name in self.names if not (fresh and name in self.spoken)]
        free = [name for name in free if parent is None or name != parent.author]
        name = free[int(self.dice.share() ** 2 * len(free))]
        self.spoken.add(name)
        return name


def build_reddit() -> str:
    """Return the sample's posts and comments as NDJSON in the shape of Pushshift."""
    dice = Dice(SEED)
    names = [f"{adjective}_{noun}" for noun in _NOUNS for adjective in _ADJECTIVES]
    names.sort(key=lambda _: dice.share())
    cast = Cast(dice, tuple(f"{name}_{dice.whole(2, 99)}" for name in names[:AUTHORS]))
    patterns = parse_patterns((HERE / "patterns.txt").read_text(encoding="utf-8"))
    threads = parse_threads((HERE / "threads.txt").read_text(encoding="utf-8"))
    said: set[str] = set()
    rows: list[dict[str, Any]] = []
    for number, thread in enumerate(threads):
        cast.spoken.clear()
        _name_authors(thread.root, cast)
        _add_bulk(thread, patterns, cast, said)
        rows += _rows(thread, f"1j9{_base36(1000 + number * 37)}", len(rows), dice)
    return "".join(json.dumps(row, ensure_ascii=True, sort_keys=True) + "\n" for row in rows)


def _name_authors(root: Node, cast: Cast) -> None:
    for node, parent in root.walk():
        node.author = "[deleted]" if node.text in GONE else node.author or cast.choose(parent, fresh=True)


def _add_bulk(thread: Thread, patterns: dict[str, list[str]], cast: Cast, said: set[str]) -> None:
    for count, group in thread.bulk:
        first = cast.dice.whole(0, len(patterns[group]) - 1)
        for number in range(first, first + count):
            parent = _parent(thread.root, cast.dice)
            pattern = patterns[group][number % len(patterns[group])]
            text = _unsaid(pattern, group, cast.dice, said)
            node = Node(text, cast.choose(parent, fresh=False))
            parent.answers.insert(cast.dice.whole(0, len(parent.answers)), node)


def _parent(root: Node, dice: Dice) -> Node:
    """Return what a made comment answers: the post, or one comment that has a text."""
    shallow = [node for node, parent in root.walk() if parent is root and node.text not in GONE]
    return dice.pick(shallow) if shallow and dice.share() < 1 / 3 else root


def _unsaid(pattern: str, group: str, dice: Dice, said: set[str]) -> str:
    """Return the pattern, filled; with some noise behind it where that was said before."""
    text = _filled(pattern, group, dice)
    while text in said:
        text = f"{_filled(pattern, group, dice)}, {dice.pick(_NOISE)}"
    said.add(text)
    return text


def _filled(pattern: str, group: str, dice: Dice) -> str:
    low, high = _PRICES.get(group.partition("_")[0], (8, 95))
    return pattern.format(
        price=dice.whole(low, high),
        pct=dice.whole(2, 80),
        count=dice.whole(2, 40),
        when=dice.pick(_WHEN),
        noise=dice.pick(_NOISE),
    )


def _rows(thread: Thread, post_id: str, first: int, dice: Dice) -> Iterator[dict[str, Any]]:
    as_of = SAMPLE_AS_OF if thread.at < SAMPLE_AS_OF else SAMPLE_LATER
    start, seen = int(thread.at.timestamp()), int(as_of.timestamp()) - 60
    nodes = list(thread.root.walk())
    yield _post_row(thread, post_id, start, seen, len(nodes))
    end = min(thread.at + LONGEST_THREAD, as_of - LAST_COMMENT_BEFORE_AS_OF)
    times = sorted(dice.whole(start + 60, int(end.timestamp())) for _ in nodes)
    ids = {id(thread.root): f"t3_{post_id}"}
    for number, ((node, parent), created) in enumerate(zip(nodes, times, strict=True), start=first):
        comment_id = f"mh{_base36(60_000_000 + number * 7)}"
        ids[id(node)] = f"t1_{comment_id}"
        yield {
            **_common(node, comment_id, created, seen),
            "body": _escaped(node.text),
            "is_submitter": node.author == thread.root.author,
            "link_id": f"t3_{post_id}",
            "parent_id": ids[id(parent)],
            "score": _score(dice) if node.score is None else node.score,
        }


def _post_row(thread: Thread, post_id: str, created: int, seen: int, comment_count: int) -> dict[str, Any]:
    return {
        **_common(thread.root, post_id, created, seen),
        "title": thread.root.text,
        "selftext": _escaped(thread.selftext),
        "num_comments": comment_count,
        "score": thread.root.score,
        "url": f"https://www.reddit.com/r/wallstreetbets/comments/{post_id}/",
    }


def _common(node: Node, reddit_id: str, created: int, seen: int) -> dict[str, Any]:
    return {
        "author": node.author,
        "created_utc": created,
        "distinguished": None,
        "edited": False,
        "id": reddit_id,
        "retrieved_on": seen,
        "stickied": False,
        "subreddit": "wallstreetbets",
    }


def _score(dice: Dice) -> int:
    """Return a comment's votes: few for most, hundreds for some, now and then below zero."""
    return int(1 / (1 - 0.998 * dice.share())) + dice.whole(-3, 6)


def _escaped(text: str) -> str:
    """Return a text as Reddit's API writes it."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = BASE36[digit] + digits
    return digits


def main() -> None:
    """Write both files beside this one."""
    (HERE / "reddit.ndjson").write_text(build_reddit(), encoding="ascii", newline="\n")
    (HERE / "prices.csv").write_text(prices_csv(), encoding="ascii", newline="\n")


if __name__ == "__main__":
    main()
