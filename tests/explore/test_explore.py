from __future__ import annotations

import base64
import hashlib
import json
import re
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from api.cli.root import run
from api.explore.metadata import BOOKKEEPING, TABLES, metadata
from api.explore.questions import QUESTIONS, answerable
from statemachine.store import RunReader
from tests.explore.conftest import EVIL, HOSTILE, exploring, fetch
from tests.sample_run import END_S, environment, phaseline

ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n, comments"
LOADING = {"src", "srcset", "poster", "data", "background", "action", "formaction", "ping"}


def ask(page: str, sql: str, kind: str = ".json") -> tuple[int, str]:
    return fetch(f"{page}{kind}?sql={quote(sql)}")[:2]


Answers = dict[str, tuple[int, str, dict[str, str]]]


@pytest.fixture(scope="module")
def answers(page: str) -> Answers:
    """Every kind of page, each fetched once."""
    return {url: fetch(url) for url in pages(page)}


def pages(page: str) -> Iterator[str]:
    yield page
    yield page.rpartition("/")[0]
    for each in (*TABLES, *BOOKKEEPING, *(question.name for question in QUESTIONS)):
        if not each.startswith("replay_"):
            yield f"{page}/{each}"
    yield f"{page}?sql={quote('SELECT body FROM comments')}"
    yield f"{page}/comments?_facet=body&_size=max"
    yield f"{page}/comments/1"


class Elements(HTMLParser):
    """What a browser would make of a page, as far as it matters here."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.scripts: list[str] = []
        self._in_script = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        self._in_script = tag == "script" and not dict(attrs).get("src")

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002  # HTMLParser's signature
        self._in_script = False

    def handle_data(self, data: str) -> None:
        if self._in_script:
            self.scripts.append(data)


@pytest.mark.slow
def test_every_table_and_every_question_has_a_page(page: str, answers: Answers) -> None:
    assert {url: status for url, (status, _, _) in answers.items() if status != 200} == {}
    first = answers[page][1]
    assert all(TABLES[name].title in first for name in ("analysis_runs", "run_events", "comments", "signals"))
    assert all(question.title in first for question in QUESTIONS)
    assert "schema_versions" not in first


@pytest.mark.slow
def test_a_strangers_text_is_shown_and_does_nothing(page: str, answers: Answers) -> None:
    here = urlsplit(page).netloc
    shown = "".join(text for _, text, _ in answers.values())
    for _, text, _ in answers.values():
        for tag, attributes in Elements(text).tags:
            assert tag not in {"img", "iframe", "base", "object", "embed", "form"} or (
                tag == "form" and urlsplit(attributes["action"]).netloc in {"", here}
            )
            assert not [name for name in attributes if name.startswith("on")]
            loads = [value for name, value in attributes.items() if name in LOADING or tag == "link"]
            assert "evil.example" not in " ".join(loads)
            assert not attributes.get("href", "").startswith("javascript:")
        assert "evil.example" not in "".join(re.findall(r"<style>.*?</style>", text, re.DOTALL))
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert f'<a href="{EVIL}">' in shown  # a whole text that is an address: a link, which waits for a click


@pytest.mark.slow
def test_no_script_runs_but_those_that_datasette_ships(answers: Answers) -> None:
    for _, text, headers in answers.values():
        policy = headers["content-security-policy"]
        for script in Elements(text).scripts:
            digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
            assert f"'sha256-{digest}'" in policy
        assert "default-src 'none'" in policy
        assert "'unsafe-inline'" not in policy.partition("style-src")[0]
        assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.slow
def test_the_questions_answer_what_they_ask(page: str, db: Path) -> None:
    answers = {each.name: json.loads(fetch(f"{page}/{each.name}.json")[1])["rows"] for each in QUESTIONS}
    one = json.loads(fetch(f"{page}/signals_with_evidence.json?ticker=gme")[1])["rows"]

    assert len(answers["set_aside_as_injection"]) == 1
    assert len(answers["time_in_phases"]) == 7
    assert answers["open_positions"]
    assert answers["opinions_by_day"]
    assert {row[1] for row in one} == {"GME"}
    with closing(RunReader(db)) as reader:
        (evidence,) = reader.conn.execute("SELECT count(*) FROM signal_comments").fetchone()
    assert len(answers["signals_with_evidence"]) == evidence


@pytest.mark.slow
@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM comments",
        "INSERT INTO system_config VALUES ('a', 'b', 'c')",
        "ATTACH 'other.db' AS other",
        "PRAGMA journal_mode = DELETE",
        "VACUUM INTO 'copy.db'",
        "WITH x AS (SELECT 1) DELETE FROM comments",
        "WITH x AS (SELECT 1) UPDATE system_config SET value = 1 RETURNING *",
        "SELECT load_extension('x')",
    ],
)
def test_nothing_can_be_written(page: str, db: Path, sql: str) -> None:
    before = db.read_bytes()

    status, text = ask(page, sql)

    assert status == 400
    assert json.loads(text)["ok"] is False
    assert db.read_bytes() == before
    log = Path(f"{db}-wal")
    assert not log.exists() or log.stat().st_size == 0


@pytest.mark.slow
def test_a_query_without_end_is_ended(page: str) -> None:
    status, text = ask(page, ENDLESS)

    assert status == 400
    assert json.loads(text)["title"] == "SQL Interrupted"


@pytest.mark.slow
def test_only_this_machines_browser_is_answered(page: str) -> None:
    foreign = fetch(page, headers={"Host": "evil.example"})
    posted = fetch(f"{page}/why_runs_failed", data=b"a=b", method="POST")
    copied = fetch(f"{page}.db")
    timed = fetch(f"{page}?sql=SELECT+1", headers={"Sec-Fetch-Site": "cross-site"})
    typed = fetch(f"{page}?sql=SELECT+1", headers={"Sec-Fetch-Site": "none"})

    assert foreign[0] == 403
    assert json.loads(foreign[1])["code"] == "forbidden_host"
    assert posted[0] == 415
    assert copied[0] == 403
    assert (timed[0], json.loads(timed[1])["code"]) == (403, "forbidden_origin")
    assert typed[0] == 200


@pytest.mark.slow
def test_a_run_goes_on_while_it_is_looked_at(page: str, db: Path) -> None:
    over = threading.Event()
    seen: list[int] = []

    def look() -> None:
        while not over.is_set():
            seen.append(ask(page, ENDLESS)[0])
            seen.append(fetch(f"{page}/comments")[0])

    reader = threading.Thread(target=look)
    reader.start()
    made = phaseline("analyze", "--db", str(db), "--executor", "threads")
    over.set()
    reader.join(END_S)

    assert made.returncode == 0, made.stderr
    assert set(seen) == {200, 400}
    runs = json.loads(ask(page, "SELECT id, status FROM analysis_runs ORDER BY id")[1])["rows"]
    assert runs[-1] == [len(runs), "completed"]
    assert len(runs) > 1


@pytest.mark.slow
def test_a_foreign_plugin_is_not_even_imported_and_sigterm_ends_it_well(db: Path, tmp_path: Path) -> None:
    (tmp_path / "intruder.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'w').close()\n")
    told = tmp_path / "intruder-1.0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: intruder\nVersion: 1.0\n")
    (told / "entry_points.txt").write_text("[datasette]\nintruder = intruder\n")
    path = f"{environment()['PYTHONPATH']}:{tmp_path}"
    secret = "hunter2hunter2"

    with exploring(db, PYTHONPATH=path, PHASELINE_TOKEN=secret) as (url, process):
        assert fetch(url)[0] == 200
        assert ask(url, "SELECT nothing", kind="")[0] == 400
        assert fetch(f"{url}/nothing")[0] == 404
        assert fetch(f"{url}/comments?_facet=nothing")[0] == 400
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=END_S)

    assert process.returncode == 0
    assert out == ""
    assert err.startswith(f"{url} shows ")
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "imported").exists()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "example.com"])
def test_other_machines_are_kept_out(tmp_path: Path, capsys: pytest.CaptureFixture[str], host: str) -> None:
    code = run(["explore", "--host", host, "--db", str(tmp_path / "a.db")])

    assert code == 2
    assert "is no loopback address" in capsys.readouterr().err


def test_there_must_be_a_database(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["explore", "--db", str(tmp_path / "none.db")])

    assert code == 5
    assert "there is no database" in capsys.readouterr().err
    assert not (tmp_path / "none.db").exists()


def test_without_the_extra_one_sentence_says_how_to_get_it(
    db: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith(("datasette", "api.explore.site"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "datasette", None)

    code = run(["explore", "--db", str(db), "--port", "0"])

    assert code == 1
    assert capsys.readouterr().err == (
        'phaseline: exploring wants Datasette: pip install "phaseline[explore]"\n'
    )


@pytest.mark.slow
def test_help_does_not_wait_for_datasette() -> None:
    asked = (
        "import sys; from api.cli.root import run; run(['explore', '--help']);"
        "sys.exit(any(name.partition('.')[0] in {'datasette', 'uvicorn'} for name in sys.modules))"
    )

    done = subprocess.run(
        [sys.executable, "-c", asked], env=environment(), capture_output=True, timeout=END_S, check=False
    )

    assert done.returncode == 0
    assert b"--port" in done.stdout


def test_a_question_about_what_is_not_there_is_not_asked() -> None:
    with closing(sqlite3.connect(":memory:")) as conn:
        conn.execute("CREATE TABLE signals (id INTEGER PRIMARY KEY)")

        assert list(answerable(conn)) == []


def test_nothing_is_said_of_a_table_that_only_shares_its_name() -> None:
    said = metadata("runs", {"signals": {"id", "colour"}}, ())["databases"]["runs"]["tables"]

    assert "signals" not in said


def test_hostile_texts_are_as_hostile_as_they_are_meant_to_be() -> None:
    raw = Elements("".join(f"<p>{text}</p>" for text in HOSTILE))

    assert {"script", "img", "iframe", "style", "base", "svg"} <= {tag for tag, _ in raw.tags}
