"""`python -m tests.ui.stale DB`: let the open options have been looked at too long ago to be sold by hand."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Final

LONG_AGO: Final = "2025-01-02T20:00:00.000Z"


def age(db: Path) -> None:
    """Set the instant of the last price of every open option."""
    with closing(sqlite3.connect(db)) as conn, conn:
        conn.execute(
            "UPDATE positions SET last_price_at = ? WHERE status = 'open' AND instrument_type = 'option'",
            (LONG_AGO,),
        )


if __name__ == "__main__":
    age(Path(sys.argv[1]))
