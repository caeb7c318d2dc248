"""The product's own server, with two routes beside its own: the floors that its answers are held against."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from api.app import create_app
from api.listening import Server
from api.settings import load
from benchmarks.floor import Floor, bare_copy


def add_floors(app: FastAPI, db: Path) -> None:
    """Add a trivial route, and one that commits a run's first row and starts a thread."""
    floor = Floor(bare_copy(db, db.with_suffix(".floor")), phases=1, rows=0)
    began: list[float] = []

    @app.get("/trivial")
    async def trivial() -> dict[str, int]:
        return {"answer": 42}

    @app.post("/bare")
    def bare() -> dict[str, int]:
        floor.start()
        threading.Thread(target=lambda: began.append(time.monotonic())).start()
        return {"answer": 42}

    @app.get("/bare")
    async def when() -> dict[str, float]:
        return {"began": began[-1]}


def main(db: Path) -> None:
    """Serve on any free port, and say on which."""
    app = create_app(load({"db": db, "phases": "benchmarks.loads:PHASES"}))
    assert app.state.services.runner, "opening it makes the file that the floor copies"
    add_floors(app, db)
    config = uvicorn.Config(
        app, port=0, ws="none", log_config=None, access_log=False, timeout_keep_alive=3600
    )

    def announce() -> None:
        print(server.servers[0].sockets[0].getsockname()[1], flush=True)

    server = Server(config, announce)
    server.run()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
