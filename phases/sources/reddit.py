"""Live Reddit, read-only: the hot posts of a subreddit with the best of their comments.

Pinned posts count as hot: daily threads are pinned, and they are where people talk about trades. They come
first in Reddit's own list, and are among the `POSTS`.

A post's comments are fetched best first (`sort=top`) until `COMMENTS_PER_POST` with a text are there, nothing
is left, or `REQUESTS_PER_POST` are spent. A tree that stays smaller than it could be is said with its
`PostEnd`, and the run warns of it. So is a branch that Reddit doesn't give; but if `MAX_FAILURES` requests in
a row fail in spite of having been tried again, Reddit is down, and the run fails.

**As of.** Reddit shows only what is hot now. What is seen within `SIGHT` of `as_of` counts as seen at
`as_of`: a run takes some time. What is seen later keeps no score, since nobody knew it by then, and a day
later there is nothing left to see: such a run is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from phases.sources.records import Wanted, read_object
from phases.sources.reddit_app import RedditApp, check
from phases.sources.reddit_outcomes import Down, Refused, outage, subreddit_refused
from phases.sources.reddit_pace import Pace
from phases.sources.reddit_tree import Link, Object, Thing, Tree, listing, mended, more_things, page
from phases.stamps import stamp
from phases.tools import Post, PostEnd, Skipped, SourceItem, SourceUnavailable
from statemachine.contract import Clock

if TYPE_CHECKING:
    from phases.sources.reddit_client import RedditClient

POSTS: Final = 10
COMMENTS_PER_POST: Final = 1_000
REQUESTS_PER_POST: Final = 32
"""What PRAW itself spends on one tree unless told otherwise. Ten posts then cost at most 320 of the thousand
requests that Reddit allows in ten minutes."""
MAX_FAILURES: Final = 3
PAGE_COMMENTS: Final = 2_048
"""More than Reddit gives; it takes the most it allows."""
SORT: Final = "top"
SIGHT: Final = timedelta(hours=1)
MAX_AGE: Final = timedelta(hours=24)

Progress = Callable[[int, int | None, str], None]


class RedditSource:
    """The subreddit as it is now. `jitter()` returns a number from 0 to 1 by chance."""

    name = "reddit"

    def __init__(
        self, app: RedditApp, clock: Clock, jitter: Callable[[], float], *, keep: Path | None = None
    ) -> None:
        self._app = app
        self._clock = clock
        self._jitter = jitter
        self._keep = keep

    def read(
        self, *, subreddit: str, as_of: datetime, progress: Progress, remaining_s: Callable[[], float]
    ) -> Iterator[SourceItem]:
        """Yield the hot posts, each with its comments and its `PostEnd`; progress counts posts."""
        check(self._app.client_id, bool(self._app.client_secret))
        from phases.sources.reddit_client import RedditClient  # noqa: PLC0415  # PRAW is an extra

        seen = self._seen(as_of)
        wanted = Wanted(subreddit=subreddit.lower(), as_of_s=as_of.timestamp())
        steps = _Steps(progress)
        pace = Pace(self._clock, listen=steps.again, remaining_s=remaining_s, keep=self._keep)
        with RedditClient(self._app, pace, self._jitter) as client:
            posts = _hot(client, subreddit)
            steps.total = len(posts)
            reading = _Reading(client, wanted, seen)
            for data in posts:
                if remaining_s() <= 0:  # what follows would be thrown away
                    return
                yield from reading.post(data)
                steps.done()

    def _seen(self, as_of: datetime) -> Object:
        """Return what to note on every object: that it was retrieved at `as_of`, or now."""
        now = self._clock.now()
        if now - as_of > MAX_AGE:
            raise SourceUnavailable(
                f"Reddit shows only what is hot now ({stamp(now)}), not what was at {stamp(as_of)}; start "
                "another run, or read an archive of that time (archive:PATH)"
            )
        return {"retrieved_on": (as_of if now - as_of <= SIGHT else now).timestamp()}


class _Steps:
    """Says how many posts are done, and says it again while it waits: so a wish to stop is heard."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._count = 0
        self.total = POSTS

    def done(self) -> None:
        """Count one post."""
        self._count += 1
        self.again()

    def again(self) -> None:
        """Repeat what was said last."""
        self._progress(self._count, self.total, "posts")


def _hot(client: RedditClient, subreddit: str) -> Sequence[Object]:
    """Return the first posts of the subreddit's list, pinned ones included."""
    try:
        found = listing(client.get(f"r/{subreddit}/hot", limit=POSTS))
    except Refused as refused:
        raise SourceUnavailable(subreddit_refused(subreddit, refused)) from refused
    except Down as down:
        raise outage(down) from down
    return [data for kind, data in found if kind == "t3"][:POSTS]


class _Reading:
    """The posts of one reading; counts how many requests in a row have failed."""

    def __init__(self, client: RedditClient, wanted: Wanted, seen: Object) -> None:
        self._client = client
        self._wanted = wanted
        self._seen = seen
        self._failures = 0

    def post(self, data: Object) -> Iterator[SourceItem]:
        """Yield one post and its comments."""
        item = read_object(mended({**data, **self._seen}), self._wanted)
        yield item
        if not isinstance(item, Post):
            return
        tree = Tree(self._wanted, self._seen)
        refusal = self._first_page(tree, item.reddit_id)
        if refusal is not None:
            yield refusal
            return
        spent = self._grow(tree, item.reddit_id)
        yield from tree.skipped
        yield from tree.best(COMMENTS_PER_POST)
        yield _end(item.reddit_id, tree, spent)

    def _first_page(self, tree: Tree, post_id: str) -> Skipped | None:
        try:
            tree.add(page(self._client.get(f"comments/{post_id}/", limit=PAGE_COMMENTS, sort=SORT)))
        except Refused as refused:
            return Skipped(reason="post_refused", detail=f"post {post_id}: {refused}")
        except Down as down:
            raise outage(down) from down
        return None

    def _grow(self, tree: Tree, post_id: str) -> int:
        """Follow links while there are some and there is need; return how many requests that took."""
        for spent in range(1, REQUESTS_PER_POST):
            if tree.texts >= COMMENTS_PER_POST or (link := tree.next_link()) is None:
                return spent
            try:
                tree.add(self._follow(link, post_id))
            except Refused:
                tree.refuse(link)
            except Down as down:
                tree.refuse(link)
                self._failures += 1
                if self._failures >= MAX_FAILURES:
                    raise outage(down) from down
            else:
                self._failures = 0
        return REQUESTS_PER_POST

    def _follow(self, link: Link, post_id: str) -> list[Thing]:
        if link.children:
            answer = self._client.post(
                "api/morechildren/", link_id=f"t3_{post_id}", children=",".join(link.children), sort=SORT
            )
            return more_things(answer)
        return page(self._client.get(f"comments/{post_id}/_/{link.parent}", limit=PAGE_COMMENTS, sort=SORT))


def _end(post_id: str, tree: Tree, spent: int) -> PostEnd:
    """Return the end of a post; as long as there are enough comments, none is missed."""
    left = tree.left()
    if tree.texts >= COMMENTS_PER_POST or not left:
        return PostEnd(post_id=post_id)
    return PostEnd(
        post_id=post_id,
        comments_left=sum(link.count for link in left),
        links_left=len(left),
        reason="budget" if spent == REQUESTS_PER_POST else "refused",
    )
