"""Datasette over one run database: read-only, without foreign plug-ins, behind the server's own door.

Importing this module imports Datasette, which the extra `explore` brings; only `phaseline explore` does.
"""

from __future__ import annotations

import sqlite3
import sys
import warnings
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from starlette.types import ASGIApp

from api.explore.metadata import STATIC, metadata
from api.explore.policy import Guarded
from api.explore.questions import answerable
from api.listening import answer, listening
from api.security import Door
from api.settings import Settings
from statemachine.connection import connect_read_only


@contextmanager
def _without_plugins() -> Generator[None]:
    """Keep Datasette from importing what calls itself its plug-in: this is the mark that it looks for."""
    mark = "_called_from_test"
    setattr(sys, mark, True)
    try:
        yield
    finally:
        delattr(sys, mark)


with _without_plugins():  # it ships no types
    _app: Any = import_module("datasette.app")
    _database: Any = import_module("datasette.database")
    _errors: Any = import_module("datasette.handle_exception")

# Datasette turns this on for the whole process: what a function of ours raises would be printed to stderr.
sqlite3.enable_callback_tracebacks(False)

# Where Rich is installed, Datasette would print every refusal to stdout, with all variables around it.
_errors.rich = None

NAME: Final = "phaseline"
"""The database's name in addresses, whatever its file is called."""
HERE: Final = Path(__file__).parent
TEMPLATES: Final = Path(_app.__file__).with_name("templates")
"""Datasette's own."""
LIMITS: Final[dict[str, int | bool]] = {
    "sql_time_limit_ms": 10_000,
    "facet_time_limit_ms": 1_000,
    "max_returned_rows": 1_000,
    "truncate_cells_html": 500,
    "default_cache_ttl": 0,  # runs go on while somebody looks
    "suggest_facets": False,  # it would count every column of every page
    "allow_download": False,  # a copy of a file that is written to may be broken
}


def serve(settings: Settings, host: str, port: int, announce: Callable[[str], None]) -> None:
    """Show the database until a signal; `announce` is told the address of its page.

    Raises:
        DatabaseUnusable, AddressUnusable: Before anything is shown.
    """
    # The server's token is for programs: a browser has no way to send it.
    reachable = settings.model_copy(update={"host": host, "token": None})
    # Datasette forgets its unfinished work where a query is refused, and Python would say so on each.
    warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
    app = Door(Guarded(site(settings.db), templates=TEMPLATES), settings=reachable)
    with listening(host, port) as listener:
        answer(app, listener, lambda url: announce(f"{url}/{NAME}"))


def site(db: Path) -> ASGIApp:
    """Return Datasette's application for a database; raises `DatabaseUnusable`."""
    with closing(connect_read_only(db)) as conn:
        said = metadata(NAME, _columns(conn), answerable(conn))
    datasette = _app.Datasette(
        metadata=said,
        settings=LIMITS,
        template_dir=str(HERE / "templates"),
        static_mounts=[(STATIC, str(HERE / "static"))],
    )
    datasette.remove_database("_memory")
    datasette.add_database(_read_only(datasette, db), name=NAME)
    app: ASGIApp = datasette.app()
    return app


def _read_only(datasette: Any, db: Path) -> Any:
    """Return Datasette's view of the file, by the same read-only connections as all our readers."""
    database = _database.Database(datasette, path=str(db))
    ask = database.execute

    def connect(write: bool = False) -> sqlite3.Connection:
        if write:
            raise sqlite3.OperationalError("this database is open to read only")
        return connect_read_only(db)

    async def execute(*asked: Any, **how: Any) -> Any:
        # What is wrong with a query is told on the page, and not on the terminal too.
        return await ask(*asked, **{**how, "log_sql_errors": False})

    database.connect, database.execute = connect, execute
    return database


def _columns(conn: sqlite3.Connection) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for table, column in conn.execute(
        "SELECT t.name, c.name FROM sqlite_master AS t JOIN pragma_table_info(t.name) AS c"
        " WHERE t.type = 'table'"
    ):
        found.setdefault(table, set()).add(column)
    return found
