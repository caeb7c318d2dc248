"""Posts and comments as rows, written by natural key, so that writing them twice changes nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from phases.stamps import stamp
from phases.tools import Comment, Post

# What was once emptied stays empty: the fuller copy is the older one. What is not known changes nothing.
_UPSERT_POST = """
INSERT INTO reddit_posts
  (reddit_id, title, selftext, author, created_utc, upvotes, total_comments, image_url, fetched_at)
VALUES (:reddit_id, :title, coalesce(:selftext, ''), :author, :created_utc, coalesce(:score, 1),
  coalesce(:comment_count, 0), :image_url, :fetched_at)
ON CONFLICT (reddit_id) DO UPDATE SET
  title = CASE WHEN reddit_posts.is_stub = 0 AND reddit_posts.title = '' THEN '' ELSE excluded.title END,
  selftext = CASE WHEN reddit_posts.is_stub = 0 AND reddit_posts.selftext = '' THEN ''
    ELSE coalesce(:selftext, reddit_posts.selftext) END,
  author = CASE WHEN reddit_posts.is_stub = 0 AND reddit_posts.author IS NULL THEN NULL
    ELSE excluded.author END,
  created_utc = excluded.created_utc, upvotes = coalesce(:score, reddit_posts.upvotes),
  total_comments = coalesce(:comment_count, reddit_posts.total_comments), image_url = excluded.image_url,
  is_stub = 0, fetched_at = excluded.fetched_at
"""

_ADD_STUB = """
INSERT INTO reddit_posts (reddit_id, title, is_stub, fetched_at) VALUES (?, '', 1, ?)
ON CONFLICT (reddit_id) DO NOTHING
"""

_UPSERT_COMMENT = """
INSERT INTO comments
  (analysis_run_id, post_id, reddit_id, author, body, created_utc, score, parent_reddit_id, depth)
VALUES (:run_id, (SELECT id FROM reddit_posts WHERE reddit_id = :post_id), :reddit_id, :author, :body,
  :created_utc, coalesce(:score, 1), :parent_id, :depth)
ON CONFLICT (reddit_id) DO UPDATE SET
  score = coalesce(:score, comments.score),
  author = CASE WHEN comments.author IS NULL THEN NULL ELSE excluded.author END,
  body = CASE WHEN comments.body IS NULL OR excluded.body IS NULL THEN NULL
    WHEN comments.analyzed_at IS NULL THEN excluded.body ELSE comments.body END,
  reasoning_summary = CASE WHEN excluded.body IS NULL THEN NULL ELSE comments.reasoning_summary END,
  sketch = CASE WHEN excluded.body IS NULL THEN NULL ELSE comments.sketch END
"""

_PURGE = """
UPDATE comments SET author = NULL, body = NULL, reasoning_summary = NULL, sketch = NULL
WHERE reddit_id = ? AND body IS NOT NULL
"""

_LINK = """
INSERT INTO run_comments (run_id, comment_id) SELECT ?, id FROM comments WHERE reddit_id = ?
ON CONFLICT (run_id, comment_id) DO NOTHING
"""

_SEE_AUTHOR = """
INSERT INTO authors (username, first_seen, last_active) VALUES (?, ?, ?)
ON CONFLICT (username) DO UPDATE SET
  first_seen = CASE WHEN excluded.first_seen < authors.first_seen THEN excluded.first_seen
    ELSE authors.first_seen END,
  last_active = CASE WHEN excluded.last_active > authors.last_active THEN excluded.last_active
    ELSE authors.last_active END
"""

Columns = dict[str, Any]


def _authors(rows: Iterable[Columns]) -> list[tuple[str, str, str]]:
    """Return who wrote, from when, until when; each once, since a write costs more than a comparison."""
    spans: dict[str, tuple[str, str]] = {}
    for row in rows:
        if (name := row["author"]) is not None:
            first, last = spans.get(name, (row["created_utc"],) * 2)
            spans[name] = (min(first, row["created_utc"]), max(last, row["created_utc"]))
    return [(name, *span) for name, span in spans.items()]


@dataclass(frozen=True, slots=True)
class RedditRows:
    """Writes what one run was shown."""

    conn: sqlite3.Connection
    run_id: int
    fetched_at: str
    pseudonym: Callable[[str], str]

    def put_posts(self, posts: Iterable[Post]) -> None:
        """Insert posts, or bring the known ones up to date."""
        self.conn.executemany(_UPSERT_POST, [self._post(post) for post in posts])

    def put_comments(self, comments: Sequence[Comment]) -> None:
        """Insert comments, or bring the known ones up to date; an unknown post is kept as a stub."""
        stubs = sorted({comment.post_id for comment in comments})
        rows = [self._comment(comment) for comment in comments]
        self.conn.executemany(_ADD_STUB, [(post_id, self.fetched_at) for post_id in stubs])
        self.conn.executemany(_UPSERT_COMMENT, rows)
        self.conn.executemany(_SEE_AUTHOR, _authors(rows))

    def link(self, comments: Iterable[Comment]) -> None:
        """Make stored comments the run's own."""
        self.conn.executemany(_LINK, [(self.run_id, comment.reddit_id) for comment in comments])

    def purge(self, comments: Iterable[Comment]) -> None:
        """Take away the texts of comments that are deleted by now, where they were stored."""
        self.conn.executemany(_PURGE, [(comment.reddit_id,) for comment in comments])

    def _post(self, post: Post) -> Columns:
        return {
            "reddit_id": post.reddit_id,
            "title": post.title,
            "selftext": post.selftext,
            "author": self._name(post.author),
            "created_utc": stamp(post.created_utc),
            "score": post.score,
            "comment_count": post.comment_count,
            "image_url": post.image_url,
            "fetched_at": self.fetched_at,
        }

    def _comment(self, comment: Comment) -> Columns:
        return {
            "run_id": self.run_id,
            "post_id": comment.post_id,
            "reddit_id": comment.reddit_id,
            "author": None if comment.body is None else self._name(comment.author),
            "body": comment.body,
            "created_utc": stamp(comment.created_utc),
            "score": comment.score,
            "parent_id": comment.parent_id,
            "depth": 0 if comment.parent_id is None else 1,
        }

    def _name(self, author: str | None) -> str | None:
        return None if author is None else self.pseudonym(author)
