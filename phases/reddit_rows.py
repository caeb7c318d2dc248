"""Posts and comments as rows, written by natural key, so that writing them twice changes nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from phases.stamps import stamp
from phases.tools import Comment, Post

# What was once emptied stays empty: the fuller copy is the older one.
_UPSERT_POST = """
INSERT INTO reddit_posts
  (reddit_id, title, selftext, author, created_utc, upvotes, total_comments, image_url, fetched_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (reddit_id) DO UPDATE SET
  title = CASE WHEN reddit_posts.is_stub = 0 AND reddit_posts.title = '' THEN '' ELSE excluded.title END,
  selftext = CASE WHEN reddit_posts.is_stub = 0 AND reddit_posts.selftext = '' THEN ''
    ELSE excluded.selftext END,
  author = CASE WHEN reddit_posts.is_stub = 0 AND reddit_posts.author IS NULL THEN NULL
    ELSE excluded.author END,
  created_utc = excluded.created_utc, upvotes = excluded.upvotes,
  total_comments = excluded.total_comments, image_url = excluded.image_url,
  is_stub = 0, fetched_at = excluded.fetched_at
"""

_ADD_STUB = """
INSERT INTO reddit_posts (reddit_id, title, is_stub, fetched_at) VALUES (?, '', 1, ?)
ON CONFLICT (reddit_id) DO NOTHING
"""

_UPSERT_COMMENT = """
INSERT INTO comments
  (analysis_run_id, post_id, reddit_id, author, body, created_utc, score, parent_reddit_id, depth)
VALUES (?, (SELECT id FROM reddit_posts WHERE reddit_id = ?), ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (reddit_id) DO UPDATE SET
  score = excluded.score,
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
        self.conn.executemany(_SEE_AUTHOR, [(row[3], row[5], row[5]) for row in rows if row[3] is not None])

    def link(self, comments: Iterable[Comment]) -> None:
        """Make stored comments the run's own."""
        self.conn.executemany(_LINK, [(self.run_id, comment.reddit_id) for comment in comments])

    def purge(self, comments: Iterable[Comment]) -> None:
        """Take away the texts of comments that are deleted by now, where they were stored."""
        self.conn.executemany(_PURGE, [(comment.reddit_id,) for comment in comments])

    def _post(self, post: Post) -> tuple[object, ...]:
        return (
            post.reddit_id,
            post.title,
            post.selftext,
            self._name(post.author),
            stamp(post.created_utc),
            post.score,
            post.comment_count,
            post.image_url,
            self.fetched_at,
        )

    def _comment(self, comment: Comment) -> tuple[object, ...]:
        return (
            self.run_id,
            comment.post_id,
            comment.reddit_id,
            None if comment.body is None else self._name(comment.author),
            comment.body,
            stamp(comment.created_utc),
            comment.score,
            comment.parent_id,
            0 if comment.parent_id is None else 1,
        )

    def _name(self, author: str | None) -> str | None:
        return None if author is None else self.pseudonym(author)
