"""The comments of one post, grown from Reddit's answers, and the choice of the best of them.

Reddit gives a page of the tree. Where it left something out stands a `more`: either with the ids of comments,
of which `morechildren` takes a hundred at a time, or with none, meaning that the thread goes on on a page of
its own. Answers are taken as they come: in any order, twice, with parents missing, with objects of no use.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any, Final, cast

from phases.sources.records import Wanted, read_object
from phases.sources.reddit_outcomes import BadAnswer
from phases.tools import Comment, Skipped

CHILDREN_PER_REQUEST: Final = 100
"""So many comments `morechildren` returns at most; longer lists have been answered with 413 and 414."""

MAX_COUNT: Final = 10_000_000

_ID: Final = re.compile(r"[0-9A-Za-z]{1,20}", re.ASCII)
_PARENT: Final = re.compile(r"t1_(?P<comment>[0-9A-Za-z]{1,20})|t3_(?P<post>[0-9A-Za-z]{1,20})", re.ASCII)

Object = Mapping[str, Any]
Thing = tuple[str, Object]
"""A kind, such as `t1` or `more`, and its data."""


def listing(answer: object) -> list[Thing]:
    """Return the things of a Listing.

    Raises:
        BadAnswer: It is something else.
    """
    return things(_member(_member(answer, "data"), "children"))


def things(answer: object) -> list[Thing]:
    """Return those of a list's members that are things.

    Raises:
        BadAnswer: It is no list.
    """
    if not isinstance(answer, list):
        raise BadAnswer("its answer has an unknown shape")
    members = cast("list[object]", answer)
    return [
        (str(each.get("kind")), each["data"]) for each in map(_object, members) if _object(each.get("data"))
    ]


def page(answer: object) -> list[Thing]:
    """Return the comments of a post's page, which is a pair of Listings."""
    if not isinstance(answer, list) or len(cast("list[object]", answer)) < 2:  # noqa: PLR2004  # a pair
        raise BadAnswer("its answer has an unknown shape")
    return listing(cast("list[object]", answer)[1])


def more_things(answer: object) -> list[Thing]:
    """Return what `morechildren` brought."""
    return things(_member(_member(_member(answer, "json"), "data"), "things"))


def _member(value: object, key: str) -> object:
    return _object(value).get(key)


def _object(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


@dataclass(frozen=True, slots=True, order=True)
class Link:
    """Leads to comments that an answer left out; the largest come first in order."""

    minus_count: int
    """`count`, negated; 0 where Reddit doesn't say."""
    number: int
    """The order in which they were found."""
    parent: str = field(compare=False)
    """The id of what the comments answer."""
    children: tuple[str, ...] = field(compare=False)
    """Their ids; none where the thread goes on on a page of its own."""

    @property
    def count(self) -> int:
        """How many comments are behind it, as far as Reddit says."""
        return -self.minus_count


@dataclass(slots=True)
class Tree:
    """What is known of one post's comments."""

    wanted: Wanted
    seen: Object
    """What to note on each object: when it was seen."""
    comments: dict[str, Comment] = field(default_factory=dict[str, Comment])
    skipped: list[Skipped] = field(default_factory=list[Skipped])
    texts: int = 0
    """How many of the comments have a text."""
    _links: list[Link] = field(default_factory=list[Link])
    _known: set[tuple[str, ...]] = field(default_factory=set[tuple[str, ...]])
    _refused: list[Link] = field(default_factory=list[Link])

    def add(self, found: Iterable[Thing]) -> None:
        """Take in what an answer holds, with all replies inside."""
        waiting = list(found)
        while waiting:
            kind, data = waiting.pop()
            if kind == "more":
                self._add_more(data)
            elif kind == "t1":
                self._add_comment(data)
                waiting.extend(_replies(data))

    def next_link(self) -> Link | None:
        """Take the largest link; of a long one the first hundred ids, the rest comes later."""
        if not self._links:
            return None
        link = heappop(self._links)
        now, later = link.children[:CHILDREN_PER_REQUEST], link.children[CHILDREN_PER_REQUEST:]
        if not later:
            return link
        share = max(len(now), link.count * len(now) // len(link.children))
        heappush(self._links, Link(share - link.count, link.number, link.parent, later))
        return Link(-share, link.number, link.parent, now)

    def refuse(self, link: Link) -> None:
        """Note that a link leads nowhere."""
        self._refused.append(link)

    def left(self) -> Sequence[Link]:
        """Return the links that were not followed, or in vain."""
        return [*self._links, *self._refused]

    def best(self, limit: int) -> Iterator[Comment]:
        """Yield at most `limit` comments with a text, by score x replies, and every one without.

        With a comment come those that it answers; where they don't fit, neither does it. One without a text
        costs nothing, and says that a text has to go.
        """
        chosen: dict[str, Comment] = {}
        for comment in self._ranked():
            chain = self._chain(comment, chosen)
            if len(chosen) + len(chain) <= limit:
                chosen.update((each.reddit_id, each) for each in chain)
        yield from chosen.values()
        yield from (comment for comment in self.comments.values() if comment.body is None)

    def _ranked(self) -> Sequence[Comment]:
        """Return the comments with a text, best first; what was not fetched counts as replies too."""
        replies = Counter(each.parent_id for each in self.comments.values())
        for link in self.left():
            replies[link.parent] += link.count
        return sorted(
            (comment for comment in self.comments.values() if comment.body is not None),
            key=lambda each: (
                -(each.score or 0) * replies[each.reddit_id],
                -(each.score or 0),
                each.reddit_id,
            ),
        )

    def _chain(self, comment: Comment, chosen: Mapping[str, Comment]) -> Sequence[Comment]:
        """Return the comment and those it answers, as far as they have a text and aren't chosen yet."""
        chain: dict[str, Comment] = {}
        at: Comment | None = comment
        while at is not None and at.reddit_id not in chosen and at.reddit_id not in chain:
            chain[at.reddit_id] = at
            at = self.comments.get(at.parent_id) if at.parent_id is not None else None
        return [each for each in chain.values() if each.body is not None]

    def _add_comment(self, data: Object) -> None:
        row = {**data, **self.seen}
        if data.get("score_hidden"):
            row.pop("score", None)
        item = read_object(mended(row), self.wanted)
        if isinstance(item, Skipped):
            self.skipped.append(item)
        elif isinstance(item, Comment) and item.reddit_id not in self.comments:
            self.comments[item.reddit_id] = item
            self.texts += item.body is not None

    def _add_more(self, data: Object) -> None:
        """Remember a link, once: an answer that leads back to itself would never end."""
        parent = _PARENT.fullmatch(str(data.get("parent_id")))
        ids = _ids(data.get("children"))
        if parent is None or not (ids or parent["comment"]):
            return
        key = ids or (parent[0],)
        if key in self._known:
            return
        self._known.add(key)
        count = data.get("count")
        behind = max(min(count, MAX_COUNT) if isinstance(count, int) else 0, len(ids))
        heappush(self._links, Link(-behind, len(self._known), parent["comment"] or parent["post"], ids))


def mended(row: Object) -> Object:
    """Return an object whose texts can be stored: JSON may write half of a character, UTF-8 can't."""
    return {key: _whole(value) if isinstance(value, str) else value for key, value in row.items()}


def _whole(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _ids(value: object) -> tuple[str, ...]:
    """Return the ids in a list; they go into an address, so nothing else may."""
    members = cast("list[object]", value) if isinstance(value, list) else []
    return tuple(each for each in members if isinstance(each, str) and _ID.fullmatch(each))


def _replies(data: Object) -> list[Thing]:
    """Return the things below a comment: none for `""`, by which Reddit says so, nor for any odd shape."""
    try:
        return listing(data.get("replies"))
    except BadAnswer:
        return []
