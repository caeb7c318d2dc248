"""Write the examples of the OpenAPI document to api/examples.json: what a run over the sample answers.

Lists are cut to their first item. The clock stands still and the pseudonyms' key is fixed, so that little but
versions differs from one time to the next.
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
import threading
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from fastapi.testclient import TestClient

from api.app import create_app
from api.pseudonym import KEY_BYTES
from api.settings import Settings
from statemachine.clock import stamp

TARGET: Final = Path(__file__).parent.parent / "api" / "examples.json"
NOW: Final = datetime(2025, 3, 12, 18, 0, tzinfo=UTC)
ASKED: Final[dict[str, Any]] = {
    "run_id": 1,
    "signal_id": 1,
    "portfolio_id": 1,
    "position_id": 2,
    "prediction_id": 1,
    "ticker": "GME",
    "signal_type": "consensus",
}
"""The parameters that an operation can't do without."""
BODIES: Final[dict[str, Any]] = {
    "close_position": {"reason": "the thesis is gone", "quantity_pct": 0.5},
    "override_prediction": {"verdict": "correct"},
}
NEXT_DAY: Final = "2025-03-13T15:00:00Z"
"""When the sample is looked at once more, so that there are closes and premiums."""
NO_STEP: Final = {"step_current": None, "step_total": None, "step_unit": None}
"""Nobody knows how far the first phase is when a request is answered."""
LONGEST: Final = 600
"""Characters of an example that is text."""


class StoppedClock:
    """Time stands still; whoever waits, waits."""

    def monotonic(self) -> float:
        """Return an instant."""
        return 0.0

    def now(self) -> datetime:
        """Return the same instant each time."""
        return NOW

    def wait(self, event: threading.Event, timeout_s: float | None) -> bool:
        """Wait for `event` in real time."""
        return event.wait(timeout_s)


def examples() -> dict[str, Any]:
    """Ask each operation once, and return the answers by its id."""
    with tempfile.TemporaryDirectory() as folder:
        db = Path(folder, "sample.db")
        Path(f"{db}-key").write_bytes(bytes(KEY_BYTES))
        app = create_app(Settings(db=db, executor="threads"), clock=StoppedClock())
        with TestClient(app) as client:
            runner = app.state.services.runner
            accepted = client.post("/analyze").json() | NO_STEP
            assert runner.wait(60), "the sample is analysed in seconds"
            client.post("/analyze", json={"params": {"as_of": NEXT_DAY}})
            assert runner.wait(60), "and so is the day after"
            with closing(sqlite3.connect(db)) as conn, conn:  # whose own clock goes on
                conn.execute("UPDATE portfolios SET created_at = ?", (stamp(NOW),))
            found = {
                "analyze": accepted,
                "resume_run": accepted,
                "cancel_run": {**accepted, "cancelling": True},
            }
            for path, operations in app.openapi()["paths"].items():
                for method, operation in operations.items():
                    if operation["operationId"] not in found:
                        found[operation["operationId"]] = answer(client, method, path, operation)
    return dict(sorted(found.items()))


def answer(client: TestClient, method: str, path: str, operation: dict[str, Any]) -> Any:
    """Ask, and return the answer, cut."""
    needed = [each for each in operation.get("parameters", []) if each["required"]]
    query = {each["name"]: ASKED[each["name"]] for each in needed if each["in"] == "query"}
    said = client.request(
        method, path.format_map(ASKED), params=query, json=BODIES.get(operation["operationId"])
    )
    said.raise_for_status()
    if said.headers["content-type"].startswith("application/json"):
        return cut(said.json())
    return said.text[: said.text.rfind("\n", 0, LONGEST) + 1]


def cut(value: Any) -> Any:
    """Return JSON with the first item of each list."""
    if isinstance(value, list):
        return [cut(each) for each in value[:1]]
    if isinstance(value, dict):
        return {name: cut(each) for name, each in value.items()}
    return value


if __name__ == "__main__":
    TARGET.write_text(json.dumps(examples(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
