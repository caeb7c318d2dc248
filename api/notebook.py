"""A connection for notebooks: the whole database to read, nothing of it to change.

    from api.notebook import connect
    conn = connect("data/phaseline.db")

See `docs/notebooks.md`.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from statemachine.connection import connect_read_only


def connect(db: Path | str = "data/phaseline.db") -> sqlite3.Connection:
    """Open a database to read, also while runs write to it; rows are tuples, as pandas wants them.

    Each statement sees what was committed when it began. `conn.row_factory = sqlite3.Row` gives rows by name.

    Raises:
        FileNotFoundError: There is no such file; nothing is made.
        DatabaseUnusable: It can't be read.
    """
    path = Path(db).expanduser()
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no database {path} (seen from {Path.cwd()}); `phaseline analyze` makes one, "
            "or name the file that PHASELINE_DB names"
        )
    return connect_read_only(path)
