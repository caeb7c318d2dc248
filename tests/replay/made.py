"""A made-up Reddit in the shapes that Reddit documents, for what no recording holds.

Its posts have trees of any size. A page shows the first comments of a tree; below them stand `more` with ids,
and below a certain depth `more` without. `morechildren` brings at most a hundred comments.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from tests.replay.recordings import TOKEN, TOKEN_PATH
from tests.replay.server import Answer, Asked

SUBREDDIT = "wallstreetbets"
CREATED = 1_741_800_000
"""2025-03-12T17:20:00Z: forty minutes before the instant that the tests are about."""
PER_CALL = 100

Row = dict[str, Any]


def comment(number: int, post_id: str, parent: int | None = None, **changes: Any) -> Row:
    """Return the data of a comment, with a field that nobody knows yet."""
    return {
        "id": f"{post_id}c{number}",
        "name": f"t1_{post_id}c{number}",
        "link_id": f"t3_{post_id}",
        "parent_id": f"t3_{post_id}" if parent is None else f"t1_{post_id}c{parent}",
        "subreddit": SUBREDDIT,
        "author": f"author{number % 97}",
        "body": f"GME calls, for reason {number}",
        "score": number % 50 + 1,
        "created_utc": float(CREATED + number % 1_000),
        "edited": False,
        "score_hidden": False,
        "field_of_next_year": {"nested": [1]},
        **changes,
    }


def grown(post_id: str, count: int, branching: int = 4) -> list[Row]:
    """Return comments, parents first: each answers an earlier one, or every `branching`-th the post."""
    return [
        comment(number, post_id, None if number % branching == 0 else number - 1 - number % 3 * (number > 5))
        for number in range(count)
    ]


def post(post_id: str, comments: Sequence[Row] = (), **changes: Any) -> Row:
    """Return the data of a post."""
    return {
        "id": post_id,
        "name": f"t3_{post_id}",
        "subreddit": SUBREDDIT,
        "title": f"A post called {post_id}",
        "selftext": "",
        "author": "op",
        "score": 10,
        "num_comments": len(comments),
        "created_utc": CREATED - 3_600,
        "edited": False,
        "stickied": False,
        "url": f"https://www.reddit.com/r/{SUBREDDIT}/comments/{post_id}/",
        **changes,
    }


def listing(children: Sequence[Row]) -> Row:
    return {"kind": "Listing", "data": {"after": None, "children": list(children)}}


def thing(kind: str, data: Row) -> Row:
    return {"kind": kind, "data": data}


@dataclass(eq=False)
class MadeReddit:
    """Answers for a subreddit of posts with comments."""

    trees: Mapping[str, Sequence[Row]]
    """The comments of each post, parents first, by the post's id."""
    posts: Sequence[Row] = ()
    page: int = 500
    """How many comments a page shows."""
    depth: int = 9
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.posts = self.posts or [post(name, comments) for name, comments in self.trees.items()]
        self._rows = {row["id"]: row for comments in self.trees.values() for row in comments}
        self._below: dict[str, list[str]] = defaultdict(list)
        for row in self._rows.values():
            self._below[row["parent_id"]].append(row["id"])
        self._made = cache(self._make)

    def __call__(self, asked: Asked) -> Answer:
        headers = {"content-type": "application/json", **self.headers}
        if asked.path == TOKEN_PATH:
            return Answer(TOKEN, headers=headers)
        children = asked.form.get("children", "")
        return Answer(self._made(asked.path, children), headers=headers)

    def _make(self, path: str, children: str) -> Any:
        if path.endswith("/hot"):
            return listing([thing("t3", row) for row in self.posts])
        if path == "/api/morechildren/":
            return {"json": {"errors": [], "data": {"things": self._more(children.split(","))}}}
        _, _, post_id, *rest = path.split("/")
        own = next(row for row in self.posts if row["id"] == post_id)
        if rest and rest[0] == "_":
            tops, shown = [rest[1]], set(self._rows)
        else:
            tops = self._below[f"t3_{post_id}"]
            shown = {row["id"] for row in self.trees[post_id][: self.page]}
        return [listing([thing("t3", own)]), listing(self._branches(f"t3_{post_id}", tops, shown, 0))]

    def _branches(self, parent: str, ids: Sequence[str], shown: set[str], depth: int) -> list[Row]:
        """Return nested comments, and one `more` for those that aren't shown."""
        if ids and depth > self.depth:
            return [
                thing("more", {"id": "_", "name": "t1__", "parent_id": parent, "count": 0, "children": []})
            ]
        nested = [self._branch(each, shown, depth) for each in ids if each in shown]
        hidden = [each for each in ids if each not in shown]
        return nested + ([self._link(parent, hidden)] if hidden else [])

    def _branch(self, name: str, shown: set[str], depth: int) -> Row:
        replies = self._branches(f"t1_{name}", self._below[f"t1_{name}"], shown, depth + 1)
        return thing("t1", {**self._rows[name], "replies": listing(replies) if replies else ""})

    def _link(self, parent: str, ids: Sequence[str]) -> Row:
        count = sum(1 + self._size(each) for each in ids)
        data = {
            "id": ids[0],
            "name": f"t1_{ids[0]}",
            "parent_id": parent,
            "count": count,
            "children": list(ids),
        }
        return thing("more", data)

    def _size(self, name: str) -> int:
        return sum(1 + self._size(each) for each in self._below[f"t1_{name}"])

    def _more(self, ids: Sequence[str]) -> list[Row]:
        """Return a flat list, replies behind what they answer, and a `more` for what doesn't fit."""
        flat, waiting = [], list(ids)
        while waiting and len(flat) < PER_CALL:
            name = waiting.pop(0)
            flat.append(thing("t1", {**self._rows[name], "replies": ""}))
            waiting[:0] = self._below[f"t1_{name}"]
        parents = dict.fromkeys(self._rows[name]["parent_id"] for name in waiting)
        return flat + [
            self._link(parent, [name for name in waiting if self._rows[name]["parent_id"] == parent])
            for parent in parents
        ]
