"""Who answered whom: links the comments of a post to their parents and counts depths.

A source gives comments in any order, so a parent may come after its answer, in a later run, or never. Once
every comment has its row, each post is done as a whole:

1. Link each comment to its parent, if that is in the same post.
2. Walk down from the roots and set depths. An answer to an unknown parent is a root of depth 1, since one
   comment at least is above it. Nothing is known to be above a cycle, so the walk never enters one.
3. After that an answer is one deeper than its parent everywhere but on a cycle; cut such links.
"""

from __future__ import annotations

import sqlite3
from typing import Final

_LINK: Final = """
UPDATE comments SET parent_comment_id = parent.id
FROM comments AS parent
WHERE comments.parent_comment_id IS NULL AND comments.post_id = :post_id
  AND parent.reddit_id = comments.parent_reddit_id AND parent.post_id = comments.post_id
  AND parent.id <> comments.id
"""

# The walk goes by `parent_reddit_id` because that column has an index. All of `tree` is of this post, and the
# UPDATE says so again: SQLite 3.46 would else look at every comment of the database.
_SET_DEPTHS: Final = """
WITH RECURSIVE tree (id, reddit_id, depth) AS (
  SELECT id, reddit_id, CASE WHEN parent_reddit_id IS NULL THEN 0 ELSE 1 END
  FROM comments WHERE parent_comment_id IS NULL AND post_id = :post_id
  UNION ALL
  SELECT answer.id, answer.reddit_id, tree.depth + 1
  FROM tree JOIN comments AS answer
    ON answer.parent_reddit_id = tree.reddit_id AND answer.parent_comment_id = tree.id
)
UPDATE comments SET depth = tree.depth FROM tree
WHERE comments.post_id = :post_id AND comments.id = tree.id AND comments.depth <> tree.depth
"""

_CUT_CYCLES: Final = """
UPDATE comments SET parent_comment_id = NULL
FROM comments AS parent
WHERE comments.post_id = :post_id AND parent.id = comments.parent_comment_id
  AND comments.depth <> parent.depth + 1
"""


def resolve_parents(conn: sqlite3.Connection, post_id: int) -> None:
    """Set `parent_comment_id` and `depth` of all comments of a post."""
    post = {"post_id": post_id}
    conn.execute(_LINK, post)
    conn.execute(_SET_DEPTHS, post)
    if conn.execute(_CUT_CYCLES, post).rowcount > 0:
        conn.execute(_SET_DEPTHS, post)
