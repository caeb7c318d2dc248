"""Phase 1: bring posts and comments into the database, each exactly once.

**Which comments count for the run.** A run is about a day, but live threads and archives span many. A comment
counts (it gets a row in `run_comments`) when it was made within the look-back before `as_of`: by default
24 hours, `params["lookback_hours"]` to change it. Older comments matter only as what somebody answered, so
those of another `CONTEXT` before the look-back are kept as parents; still older ones, and posts older than
`POST_AGE`, are counted as skipped: a month's archive must not become a month's database for one day.

**Deletion.** At the next sight of a deleted comment its body goes, however old the comment and whichever run
stored it, and never comes back from an older copy. With it go the author's pseudonym, so that nobody without
a text counts as a user, and the `reasoning_summary`, which may quote the body. Sentiment and tickers stay:
they are our own words, signals and positions rest on them, and history is never rewritten.

**Changes.** Scores follow the newest sight. A body follows it until the comment is analysed; from then on the
text is the one that the annotation is about. A second run over the same archive changes no row.
"""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from phases.comment_tree import resolve_parents
from phases.reddit_rows import RedditRows
from phases.stamps import stamp
from phases.tools import Comment, Context, Post, PostEnd, Skipped, SourceItem, SourceUnavailable

DEFAULT_LOOKBACK_HOURS: Final = 24
MAX_LOOKBACK_HOURS: Final = 24 * 366
CONTEXT: Final = timedelta(hours=48)
"""Long enough for a weekend's thread."""
POST_AGE: Final = timedelta(days=14)
BATCH_ITEMS: Final = 10_000
"""So many kept items are written and made durable together. Rows of one batch share pages of the indexes, so
a fifth of it would write 2.6 times as many bytes (measured with 300,000 comments)."""
LOOK_UP_ITEMS: Final = 50_000
"""After so many items the phase looks up from its reading, even if it kept none of them."""
EXAMPLES: Final = 3

EXPECTED_REASONS: Final = frozenset(
    {"blank_line", "other_subreddit", "later_than_as_of", "edited_later", "older_than_context"}
)
"""Reasons for which any archive has items that a run leaves aside; all others are worth a warning."""


def fetch_reddit(conn: sqlite3.Connection, ctx: Context) -> None:
    """Store what the source has of the subreddit up to `as_of`, and link the look-back's comments to the run.

    Raises:
        SourceUnavailable: The source can't be read, or has no comment of the subreddit up to `as_of`.
        ValueError: `params["lookback_hours"]` is unusable.
    """
    tools = ctx.tools
    window = Window(as_of=tools.as_of, lookback=lookback(ctx.params))
    rows = RedditRows(conn, ctx.run_id, stamp(tools.as_of), tools.pseudonym)
    tally = Tally()
    items = tools.source.read(
        subreddit=tools.subreddit, as_of=tools.as_of, progress=_progress(ctx), remaining_s=ctx.remaining_s
    )
    # A batch is complete before its first write: the source may be a network.
    for batch in _batches(items, window, tally):
        ctx.raise_if_stopping()
        if batch:
            _write(rows, batch, window)
            ctx.checkpoint()
    _resolve_trees(conn, ctx)
    _report(conn, ctx, window, tally)


def _progress(ctx: Context) -> Callable[[int, int | None, str], None]:
    """Return what a source calls as it goes, and while it waits: there it hears that the run has to stop."""

    def progress(current: int, total: int | None, unit: str) -> None:
        ctx.progress(current, total, unit)
        ctx.raise_if_stopping()

    return progress


def lookback(params: Mapping[str, Any]) -> timedelta:
    """Return how far before `as_of` a comment counts."""
    hours = params.get("lookback_hours", DEFAULT_LOOKBACK_HOURS)
    if isinstance(hours, bool) or not isinstance(hours, int | float) or not 0 < hours <= MAX_LOOKBACK_HOURS:
        raise ValueError(
            f"lookback_hours must be a number above 0 and at most {MAX_LOOKBACK_HOURS}, not {hours!r}"
        )
    return timedelta(hours=hours)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What of the past a run looks at."""

    as_of: datetime
    lookback: timedelta

    @property
    def start(self) -> datetime:
        """A comment counts from this instant on."""
        return self.as_of - self.lookback

    def counts(self, comment: Comment) -> bool:
        """Return whether a comment is the run's own, not only somebody's parent."""
        return self.start <= comment.created_utc <= self.as_of

    def keeps(self, item: Post | Comment) -> bool:
        """Return whether an item is recent enough for a row."""
        return item.created_utc >= self.start - (POST_AGE if isinstance(item, Post) else CONTEXT)


@dataclass(slots=True)
class Tally:
    """What became of the source's items."""

    skipped: Counter[str] = field(default_factory=Counter[str])
    examples: dict[str, list[str]] = field(default_factory=lambda: defaultdict[str, list[str]](list))
    partial: list[PostEnd] = field(default_factory=list[PostEnd])
    """Posts of which the source wanted more than it brought."""
    newest: datetime | None = None
    """When the youngest comment was made, be it too old or not."""

    def skip(self, item: Skipped) -> None:
        """Count an item by its reason and remember the first few places."""
        self.skipped[item.reason] += 1
        if item.detail and self.skipped[item.reason] <= EXAMPLES:
            self.examples[item.reason].append(item.detail)

    def see(self, comment: Comment) -> None:
        """Remember how far the source goes."""
        self.newest = max(self.newest or comment.created_utc, comment.created_utc)

    def end(self, post: PostEnd) -> None:
        """Remember a post that is not whole."""
        if post.reason:
            self.partial.append(post)

    def unexpected(self) -> dict[str, int]:
        """Return the counts that a person should hear of."""
        return {why: count for why, count in sorted(self.skipped.items()) if why not in EXPECTED_REASONS}


def _batches(items: Iterable[SourceItem], window: Window, tally: Tally) -> Iterator[Sequence[Post | Comment]]:
    """Yield the items worth writing: up to the end of a post, where the source tells, else many at once.

    Now and then nothing, where a source has little of use.
    """
    batch: list[Post | Comment] = []
    for seen, item in enumerate(items, start=1):
        if isinstance(item, Skipped):
            tally.skip(item)
        elif isinstance(item, PostEnd):
            tally.end(item)
        elif _is_worth_writing(item, window, tally):
            batch.append(item)
        if isinstance(item, PostEnd) or len(batch) == BATCH_ITEMS or seen % LOOK_UP_ITEMS == 0:
            yield batch
            batch = []
    yield batch


def _is_worth_writing(item: Post | Comment, window: Window, tally: Tally) -> bool:
    """Return whether an item brings a row or, being a deletion, takes a text away."""
    if isinstance(item, Comment):
        tally.see(item)
    if window.keeps(item):
        return True
    tally.skip(Skipped(reason="older_than_context"))
    return isinstance(item, Comment) and item.body is None


def _write(rows: RedditRows, batch: Sequence[Post | Comment], window: Window) -> None:
    rows.put_posts([item for item in batch if isinstance(item, Post)])
    comments = [item for item in batch if isinstance(item, Comment)]
    rows.put_comments([comment for comment in comments if window.keeps(comment)])
    rows.link([comment for comment in comments if window.counts(comment)])
    rows.purge([comment for comment in comments if not window.keeps(comment)])


_POSTS: Final = """
SELECT c.post_id, count(*) FROM run_comments r JOIN comments c ON c.id = r.comment_id
WHERE r.run_id = ? GROUP BY c.post_id ORDER BY c.post_id
"""


def _resolve_trees(conn: sqlite3.Connection, ctx: Context) -> None:
    waiting = 0
    for post_id, comment_count in conn.execute(_POSTS, (ctx.run_id,)).fetchall():
        resolve_parents(conn, post_id)
        waiting += comment_count
        if waiting >= BATCH_ITEMS:
            ctx.checkpoint()
            waiting = 0


_COUNTS: Final = """
SELECT count(*), count(c.body), count(DISTINCT c.post_id)
FROM run_comments r JOIN comments c ON c.id = r.comment_id WHERE r.run_id = ?
"""


def _report(conn: sqlite3.Connection, ctx: Context, window: Window, tally: Tally) -> None:
    comments, usable, posts = conn.execute(_COUNTS, (ctx.run_id,)).fetchone()
    if usable == 0:
        _report_nothing(ctx, window, tally)
    ctx.results["posts"] = posts
    ctx.results["comments"] = comments
    ctx.results["comments_without_text"] = comments - usable
    ctx.results["skipped"] = dict(sorted(tally.skipped.items()))
    if unexpected := tally.unexpected():
        examples = {why: tally.examples[why] for why in unexpected if why in tally.examples}
        ctx.warn(
            "source_items_skipped",
            f"{sum(unexpected.values())} items of the source could not be used: {_listed(unexpected)}",
            reasons=unexpected,
            examples=examples,
        )
    if tally.partial:
        _report_partial(ctx, tally.partial)


def _report_partial(ctx: Context, posts: Sequence[PostEnd]) -> None:
    comments, links = sum(post.comments_left for post in posts), sum(post.links_left for post in posts)
    ctx.results["comments_left"] = comments
    ctx.warn(
        "reddit_fetch_partial",
        f"{len(posts)} posts are not whole: at least {comments} comments behind {links} links are left",
        comments_left=comments,
        links_left=links,
        posts={post.post_id: {"comments_left": post.comments_left, "reason": post.reason} for post in posts},
    )


def _report_nothing(ctx: Context, window: Window, tally: Tally) -> None:
    """Warn where the source is only quiet: open positions are still watched. Fail where it has nothing."""
    said = _nothing_usable(ctx, window, tally)
    if tally.newest is None:
        raise SourceUnavailable(said)
    ctx.warn("no_recent_comments", said, newest=stamp(tally.newest))


def _nothing_usable(ctx: Context, window: Window, tally: Tally) -> str:
    tools = ctx.tools
    newest = (
        f"its newest comment is of {stamp(tally.newest)}" if tally.newest else "it has no comment by then"
    )
    skipped = f" and these items were skipped: {_listed(tally.skipped)}" if tally.skipped else ""
    return (
        f"the source {tools.source.name} has no comment of r/{tools.subreddit} with a text between "
        f"{stamp(window.start)} and {stamp(window.as_of)}; {newest}{skipped}; check the subreddit, "
        "set as_of to a time that the source covers, or raise lookback_hours"
    )


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items()))
