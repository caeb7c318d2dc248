from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from phases.sample import SAMPLE_AS_OF
from tests.api.world import Gate, Serve, until_idle

JSON = {"content-type": "application/json"}


def test_a_post_without_a_body_starts_a_run_with_all_defaults(serve: Serve) -> None:
    client = serve()

    answer = client.post("/analyze")

    assert answer.status_code == 202
    assert answer.headers["location"] == "/runs/1"
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json()["run_id"] == 1
    assert answer.json()["status"] == "running"
    assert client.get("/runs/1").json()["params"] == {
        "subreddit": "wallstreetbets",
        "source": "sample",
        "analyzer": "lexicon",
        "prices": "sample",
        "options": "sample",
        "as_of": "2020-12-01T18:00:00.000Z",
    }


def test_a_run_takes_along_what_was_asked_for(serve: Serve) -> None:
    client = serve()

    answer = client.post(
        "/analyze", json={"subreddit": "stocks", "params": {"depth": 3, "as_of": "2021-01-16T15:00:00-05:00"}}
    )

    params = client.get(answer.headers["location"]).json()["params"]
    assert params["subreddit"] == "stocks"
    assert params["depth"] == 3
    assert params["as_of"] == "2021-01-16T20:00:00.000Z"


def test_the_sample_is_analysed_as_of_its_own_day(serve: Serve) -> None:
    client = serve(as_of=None)

    client.post("/analyze")

    assert client.get("/runs/1").json()["params"]["as_of"] == SAMPLE_AS_OF.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def test_a_second_run_is_refused_with_the_id_of_the_first(serve: Serve, gate: Gate) -> None:
    client = serve("GATED")
    client.post("/analyze", json=gate.body)

    answer = client.post("/analyze")

    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "analysis_already_running"
    assert answer.json()["active_run_id"] == 1


def test_the_same_key_and_body_is_the_same_run_even_as_time_goes_on(serve: Serve) -> None:
    client = serve(as_of=None, source="archive:posts.ndjson")
    Path("posts.ndjson").write_text("{}\n")
    key = {"idempotency-key": "once"}

    first = client.post("/analyze", json={"params": {"depth": 1}}, headers=key)
    until_idle(client)
    again = client.post("/analyze", json={"params": {"depth": 1}}, headers=key)

    assert again.status_code == 202
    assert again.json()["run_id"] == first.json()["run_id"]
    assert again.json()["status"] == "completed"
    assert len(client.get("/runs").json()["items"]) == 1


def test_the_same_key_with_another_body_is_refused(serve: Serve) -> None:
    client = serve()
    client.post("/analyze", headers={"idempotency-key": "once"})

    answer = client.post("/analyze", json={"subreddit": "stocks"}, headers={"idempotency-key": "once"})

    assert answer.status_code == 422
    assert answer.json()["code"] == "idempotency_key_reused"


BAD_BODIES = {
    "an unknown field": '{"bogus": 1}',
    "a list": "[]",
    "a subreddit of one letter": '{"subreddit": "a"}',
    "a subreddit with a slash": '{"subreddit": "r/x"}',
    "a subreddit with a line feed": '{"subreddit": "stocks\\n"}',
    "a subreddit that is no text": '{"subreddit": 12}',
    "an unknown analyzer": '{"analyzer": "crystal"}',
    "an analyzer that is not set up": '{"analyzer": "llm"}',
    "a source that is not set up": '{"source": "reddit"}',
    "an unknown source": '{"source": "http://example.org/"}',
    "an archive of another kind": '{"source": "archive:/etc/passwd"}',
    "an archive that is not there": '{"source": "archive:/nowhere/x.ndjson"}',
    "an archive that is a folder": '{"source": "archive:folder.ndjson"}',
    "params that are a list": '{"params": []}',
    "a reserved word among the params": '{"params": {"source": "sample"}}',
    "an instant without a zone": '{"params": {"as_of": "2020-12-01T18:00:00"}}',
    "an instant that is a list": '{"params": {"as_of": []}}',
    "an instant that is an object": '{"params": {"as_of": {}}}',
    "an instant before the first year": '{"params": {"as_of": "0001-01-01T00:00:00+14:00"}}',
    "too many params": '{"params": {' + ",".join(f'"p{n}": 1' for n in range(200)) + "}}",
    "a nest": '{"params": {"a": ' + "[" * 50 + "]" * 50 + "}}",
    "a deep nest": '{"params": {"a": ' + "[" * 5000 + "]" * 5000 + "}}",
    "not a number": '{"params": {"a": NaN}}',
    "an infinite number": '{"params": {"a": 1e999}}',
    "a lone surrogate": '{"params": {"a": "\\ud800"}}',
    "half a body": '{"subreddit": ',
    "no JSON at all": "hello",
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES.keys())
def test_a_body_that_cannot_be_used_is_refused_in_a_sentence_and_starts_nothing(
    serve: Serve, body: str
) -> None:
    client = serve()
    Path("folder.ndjson").mkdir()

    answer = client.post("/analyze", content=body, headers=JSON)

    assert answer.status_code == 422
    assert answer.json()["code"] == "validation_error"
    assert len(answer.json()["detail"]) > 10
    assert client.get("/runs").json()["items"] == []


def test_bytes_that_are_no_utf_8_are_refused(serve: Serve) -> None:
    assert serve().post("/analyze", content=b'{"subreddit": "\xff"}', headers=JSON).status_code == 422
    assert (
        serve().post("/analyze", content='{"params": {}}'.encode("utf-16"), headers=JSON).status_code == 422
    )


def test_an_archive_is_pinned_by_its_whole_path(serve: Serve, tmp_path: Path) -> None:
    line = b'{"id": "p1", "title": "A post", "subreddit": "wallstreetbets", "created_utc": 1606780801}\n'
    Path("posts.ndjson.gz").write_bytes(gzip.compress(line))

    answer = serve().post("/analyze", json={"source": "archive:posts.ndjson.gz"})

    assert answer.status_code == 202
    source = serve().get("/runs/1").json()["params"]["source"]
    assert source == f"archive:{tmp_path / 'posts.ndjson.gz'}"


def test_a_file_that_is_no_archive_is_refused_before_a_run_is_made(serve: Serve) -> None:
    Path("holiday.ndjson").write_bytes(b"dear diary,\n" * 100)
    client = serve()

    answer = client.post("/analyze", json={"source": "archive:holiday.ndjson"})

    assert answer.status_code == 422
    assert "holiday.ndjson" in answer.json()["detail"]
    assert client.get("/runs").json()["items"] == []


def test_json_null_means_all_defaults(serve: Serve) -> None:
    assert serve().post("/analyze", content="null", headers=JSON).status_code == 202
