"""`phaseline close` and `phaseline prune`, on a real run of the sample."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.settings import Settings
from tests.api.world import services_of

if TYPE_CHECKING:
    from tests.cli.conftest import Phaseline

DB = Path("data/phaseline.db")


@pytest.fixture(scope="module")
def analyzed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    db = tmp_path_factory.mktemp("decisions") / "runs.db"
    with TestClient(create_app(Settings(db=db, executor="threads"))) as opened:
        opened.post("/analyze")
        assert services_of(opened).runner.wait(60)
    return db


@pytest.fixture
def database(analyzed: Path) -> Path:
    DB.parent.mkdir()
    shutil.copy(analyzed, DB)
    return DB


def asked(sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(DB)) as conn:
        return conn.execute(sql).fetchall()


@pytest.mark.usefixtures("database")
def test_close_sells_a_part_and_then_the_rest(phaseline: Phaseline) -> None:
    half, said, _ = phaseline("close", "1", "--reason", "half is enough", "--quantity", "0.5")
    rest, as_json, _ = phaseline("close", "1", "--reason", "all of it", "--json")
    again, _, complaint = phaseline("close", "1", "--reason", "once more")

    assert (half, rest, again) == (0, 0, 1)
    assert said.startswith("sold ")
    assert json.loads(as_json)["position"]["status"] == "closed"
    assert json.loads(as_json)["exit"]["note"] == "all of it"
    assert "was closed on" in complaint
    assert asked("SELECT count(*), sum(quantity_pct) > 1 FROM position_exits") == [(2, 1)]


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(
    ("args", "code", "complaint"),
    [
        (("close", "99", "--reason", "x"), 5, "there is no position 99"),
        (("close", "1", "--reason", " "), 2, "1 to 500 characters"),
        (("close", "1", "--reason", "x", "--quantity", "1.5"), 2, "at most 1, not 1.5"),
        (("close", "1"), 2, "--reason"),
        (("close", "0", "--reason", "x"), 2, "POSITION"),
        (("prune", "--older-than", "-1"), 2, "--older-than"),
        (("prune",), 2, "--older-than"),
    ],
)
def test_what_can_not_be_done_is_one_sentence(
    phaseline: Phaseline, args: tuple[str, ...], code: int, complaint: str
) -> None:
    exited, out, err = phaseline(*args)

    assert (exited, out) == (code, "")
    assert complaint in err
    assert "Traceback" not in err


@pytest.mark.parametrize("args", [("close", "1", "--reason", "x"), ("prune", "--older-than", "1")])
def test_without_a_database_or_with_others_phases_there_is_nothing(
    phaseline: Phaseline, args: tuple[str, ...]
) -> None:
    absent, _, _ = phaseline(*args)
    assert not DB.exists()
    phaseline("analyze")
    foreign, _, complaint = phaseline(*args)

    assert (absent, foreign) == (5, 5)
    assert "in this database; the phases that ran here keep none" in complaint


@pytest.mark.usefixtures("database")
def test_predictions_are_listed_and_overruled(phaseline: Phaseline) -> None:
    ((known, ticker),) = asked("SELECT id, ticker FROM predictions WHERE status = 'tracking' LIMIT 1")

    _, as_json, _ = phaseline(
        "predictions", "--status", "tracking", "--ticker", str(ticker).lower(), "--json"
    )
    _, said, _ = phaseline("override", str(known), "excluded")
    _, listed, _ = phaseline("predictions", "--limit", "1000")
    phaseline("override", str(known), "none")
    absent, _, complaint = phaseline("override", "99999", "correct")

    assert {(one["ticker"], one["status"]) for one in json.loads(as_json)} == {(ticker, "tracking")}
    assert said == f"prediction {known}: excluded\n"
    assert "excluded (a person's)" in listed
    assert asked("SELECT count(*) FROM predictions WHERE hitl_override IS NOT NULL") == [(0,)]
    assert (absent, "there is no prediction 99999" in complaint) == (5, True)


TEXTS = "SELECT count(body) + count(reasoning_summary) FROM comments"
KEPT = (
    "SELECT group_concat(quote(sentiment) || quote(author) || quote(score) || quote(has_reasoning)) FROM"
    " comments UNION ALL SELECT group_concat(quote(confidence)) FROM signals"
)


@pytest.mark.usefixtures("database")
def test_prune_says_first_and_does_it_when_told_to(phaseline: Phaseline) -> None:
    kept, texts = asked(KEPT), asked(TEXTS)

    _, would, hint = phaseline("prune", "--older-than", "30")
    untouched = asked(TEXTS)
    _, done, advice = phaseline("prune", "--older-than", "30", "--yes")
    _, again, silent = phaseline("prune", "--older-than", "30", "--yes")

    assert untouched == texts
    assert would.removesuffix("would be emptied\n") == done.removesuffix("were emptied\n")
    assert "add --yes" in hint
    assert asked(TEXTS) == [(0,)]
    assert asked(KEPT) == kept
    assert "VACUUM" in advice
    assert (again, silent) == ("0 comments were emptied\n", "")
    assert phaseline("verify")[0] == 0


@pytest.mark.usefixtures("database")
def test_prune_leaves_what_is_young(phaseline: Phaseline) -> None:
    texts = asked(TEXTS)

    _, said, _ = phaseline("prune", "--older-than", "36500", "--yes", "--json")

    assert json.loads(said)["comments"] == 0
    assert asked(TEXTS) == texts
