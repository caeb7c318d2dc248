"""Phase 7: what the run teaches about its authors, and how the portfolios stand against the benchmark."""

from __future__ import annotations

import sqlite3
from typing import Final

from phases.config import read_config
from phases.scoring.authors import refresh, with_news
from phases.scoring.evaluation import evaluate
from phases.tools import Context

AUTHORS_PER_CHECKPOINT: Final = 2_000


def update_author_trust(conn: sqlite3.Connection, ctx: Context) -> None:
    """Bring the authors with news and the evaluation periods up to date.

    Raises:
        ConfigError: A row of `system_config` is not usable.
    """
    config, authors = read_config(conn), with_news(conn)
    for done, author in enumerate(authors, start=1):
        refresh(conn, author, config, ctx.clock.now())
        ctx.progress(done, len(authors), "author")
        if done % AUTHORS_PER_CHECKPOINT == 0:
            ctx.checkpoint()
    ctx.results["authors_updated"] = len(authors)
    ctx.checkpoint()
    evaluate(conn, ctx)
