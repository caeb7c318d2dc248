"""`/metrics` as Prometheus' own rules want it, read back by a parser that takes nothing else."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.metrics import BUCKETS_S, History, Metric, _lines
from statemachine.clock import stamp
from tests.api.world import Gate, Serve, services_of, until_idle

NAME = r"[a-z][a-z0-9_]*"
LABEL = rf'{NAME}="(?:[^"\\\n]|\\[\\"n])*"'
SAMPLE = re.compile(rf"({NAME})(?:\{{((?:{LABEL},)*{LABEL})\}})? (-?[0-9][0-9.e+-]*)")
ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}
ENDINGS = {"histogram": ("_bucket", "_sum", "_count")}
MIDNIGHT = datetime(2025, 3, 12, tzinfo=UTC)
REFUSED = '{"refused":"it has ended"}'
Labels = tuple[tuple[str, str], ...]


@dataclass
class Family:
    kind: str
    help: str
    samples: dict[tuple[str, Labels], float] = field(default_factory=dict[Any, float])


def parse(text: str) -> dict[str, Family]:
    """Read the text format; refuse what is out of order, twice there, or not of its family."""
    assert text.endswith("\n")
    families: dict[str, Family] = {}
    help_ = name = ""
    for line in text.removesuffix("\n").split("\n"):
        if line.startswith("# HELP "):
            _, _, name, help_ = line.split(" ", 3)
            assert name not in families, "a family stands together"
        elif line.startswith("# TYPE "):
            _, _, typed, kind = line.split(" ")
            assert typed == name
            families[name] = Family(kind, help_)
        else:
            found = SAMPLE.fullmatch(line)
            assert found, line
            family = families[name]
            assert found[1].removeprefix(name) in ENDINGS.get(family.kind, ("",)), line
            labels = re.findall(rf'({NAME})="((?:[^"\\]|\\.)*)"', found[2] or "")
            key = (
                found[1],
                tuple((k, re.sub(r"\\.", lambda at: ESCAPES[at[0]], v)) for k, v in labels),
            )
            assert key not in family.samples, "a sample is told once"
            family.samples[key] = float(found[3])
    return families


@pytest.fixture
def families(serve: Serve, gate: Gate) -> dict[str, Family]:
    """What is told after one run that completed, and one cancel that was refused."""
    client = serve("GATED")
    client.post("/analyze", json=gate.body)
    gate.let_go()
    until_idle(client)
    client.post("/runs/1/cancel")
    assert client.get("/metrics").text
    return parse(client.get("/metrics").text)


def test_every_name_keeps_the_rules_of_prometheus(families: dict[str, Family]) -> None:
    for name, family in families.items():
        assert name.startswith("phaseline_")
        assert family.help.endswith((".", "always 1."))
        assert (family.kind == "counter") == name.endswith("_total")
        assert not re.search(r"_(ms|minutes|hours|kb|mb|percent)\b|gauge|counter|histogram", name)
        for _, labels in family.samples:
            assert [label for label, _ in labels if label == "run_id"] == [], "runs come without end"


def test_a_histogram_is_cumulative_and_its_last_bucket_is_its_count(families: dict[str, Family]) -> None:
    family = families["phaseline_phase_duration_seconds"]
    phases = {dict(labels)["phase"] for _, labels in family.samples}

    assert phases == {"first_note", "gate", "last_note"}
    for phase in phases:
        own = [(name, dict(labels), value) for (name, labels), value in family.samples.items()]
        own = [each for each in own if each[1]["phase"] == phase]
        bounds = [float(labels["le"]) for name, labels, _ in own if name.endswith("_bucket")]
        counts = [value for name, _, value in own if name.endswith("_bucket")]
        (count,) = [value for name, _, value in own if name.endswith("_count")]
        assert all(low < high for low, high in pairwise(bounds))
        assert all(low <= high for low, high in pairwise(counts))
        assert counts[-1] == count == 1


def test_each_event_counts_once_however_often_it_is_asked(families: dict[str, Family]) -> None:
    told = families["phaseline_transitions_total"].samples
    refused = families["phaseline_refusals_total"].samples

    assert {dict(labels)["trigger"]: value for (_, labels), value in told.items()} == {
        "start": 1,
        "advance": 3,
    }
    assert {dict(labels)["trigger"]: value for (_, labels), value in refused.items()} == {"cancel": 1}


def test_a_restarted_server_goes_on_counting_where_the_last_one_was(serve: Serve) -> None:
    client = serve()
    client.post("/analyze")
    until_idle(client)

    again = parse(serve().get("/metrics").text)

    assert (
        again["phaseline_transitions_total"]
        == parse(client.get("/metrics").text)["phaseline_transitions_total"]
    )
    assert again["phaseline_runs"].samples["phaseline_runs", (("status", "completed"),)] == 1


def test_phases_of_other_lists_share_one_label(serve: Serve) -> None:
    client = serve("BROKEN")
    client.post("/analyze")
    until_idle(client)

    family = parse(serve("CURIOUS").get("/metrics").text)["phaseline_phase_duration_seconds"]
    counts = Counter(dict(labels)["phase"] for name, labels in family.samples if name.endswith("_count"))

    assert counts == {"look": 1, "other": 1}


def test_the_size_of_the_database_is_told_to_the_byte(serve: Serve) -> None:
    client = serve()
    db = services_of(client).runner.db

    family = parse(client.get("/metrics").text)["phaseline_database_bytes"]

    assert family.samples["phaseline_database_bytes", (("file", "database"),)] == db.stat().st_size


EVENTS = st.lists(
    st.tuples(
        st.integers(1, 3),
        st.integers(0, 4_000_000),
        st.sampled_from(["start", "advance", "resume", "fail"]),
        st.sampled_from(["first_note", "another", "failed"]),
        st.booleans(),
    ),
    max_size=30,
).map(lambda moves: [(run, 0, "start", "", False) for run in (1, 2, 3)] + moves)


@given(EVENTS, st.integers(0, 30))
def test_a_phase_took_from_the_last_edge_of_its_run_to_its_boundary_whenever_that_is_read(
    events: list[tuple[int, int, str, str, bool]], looked_at: int
) -> None:
    with closing(sqlite3.connect(":memory:")) as conn:
        conn.execute("CREATE TABLE run_events (seq INTEGER PRIMARY KEY, run_id, at, trigger, source, detail)")
        history = History(["first_note"])
        reader: Any = SimpleNamespace(conn=conn)
        for part in (events[:looked_at], events[looked_at:]):
            conn.executemany(
                "INSERT INTO run_events (run_id, at, trigger, source, detail) VALUES (?, ?, ?, ?, ?)",
                [
                    (
                        run,
                        stamp(MIDNIGHT + timedelta(milliseconds=at)),
                        trigger,
                        source,
                        REFUSED if refused else None,
                    )
                    for run, at, trigger, source, refused in part
                ],
            )
            metrics = history.metrics(reader)

    told = {(name, *labels.values()): value for name, labels, value in metrics[2].samples}
    lasted = lasting(events)
    for phase in ("first_note", "other"):
        own = [ms / 1000 for label, ms in lasted if (label == "first_note") == (phase == "first_note")]
        assert told.get(("_count", phase), 0) == len(own)
        assert told.get(("_sum", phase), 0) == pytest.approx(sum(own))
        for bound in BUCKETS_S:
            assert told.get(("_bucket", phase, str(bound)), 0) == sum(each <= bound for each in own)


def lasting(events: list[tuple[int, int, str, str, bool]]) -> list[tuple[str, int]]:
    """Return which phase advanced after how many milliseconds, told the slow way."""
    since: dict[int, int] = {}
    found: list[tuple[str, int]] = []
    for run, at, trigger, source, refused in events:
        if refused:
            continue
        if trigger == "advance":
            found.append((source, max(0, at - since[run])))
        since[run] = at
    return found


@given(st.text(st.sampled_from('ab é\\"\n{},=')), st.integers(0, 2**53))
def test_a_label_and_a_value_come_back_as_they_were(text: str, value: int) -> None:
    metric = Metric("some_metric", "gauge", "Something.", [("", {"label": text}, value)])

    read = parse("".join(_lines(metric)))["some_metric"]

    assert read.samples == {("some_metric", (("label", text),)): value}
