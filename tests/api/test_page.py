"""The page as the server gives it out: its own files, nothing inline, kept by browsers while they hold."""

from __future__ import annotations

import re

import pytest

from tests.api.world import Serve


def _assets(html: str) -> list[str]:
    return re.findall(r'(?:src|href)="(/ui/[^"]+)"', html)


def test_the_root_leads_to_the_page(serve: Serve) -> None:
    answer = serve().get("/")

    assert (answer.status_code, answer.url.path) == (200, "/ui/")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


def test_the_page_loads_its_own_files_and_nothing_is_inline(serve: Serve) -> None:
    client = serve()
    html = client.get("/ui/").text

    assert len(_assets(html)) == 3
    assert [client.get(path).status_code for path in _assets(html)] == [200, 200, 200]
    assert re.findall(r"<script(?![^>]* src=)|<style|\son\w+=", html) == []
    assert re.findall(r"https?://", html) == []


@pytest.mark.parametrize("path", ["/ui/runs/7", "/ui/signals", "/ui/positions/3"])
def test_an_address_inside_the_page_is_the_page(serve: Serve, path: str) -> None:
    client = serve()

    assert client.get(path).content == client.get("/ui/").content


@pytest.mark.parametrize("path", ["/ui/assets/old-0.js", "/ui/../../pyproject.toml", "/ui/%2e%2e/app.py"])
def test_a_file_that_the_page_does_not_have_is_not_found(serve: Serve, path: str) -> None:
    answer = serve().get(path)

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_a_file_named_by_its_content_is_kept_for_ever_and_the_page_itself_is_asked_for(serve: Serve) -> None:
    client = serve()
    page = client.get("/ui/")
    script = client.get(next(path for path in _assets(page.text) if path.endswith(".js")))

    assert "immutable" in script.headers["cache-control"]
    assert page.headers["cache-control"] == "no-cache"
    assert client.get("/ui/", headers={"if-none-match": page.headers["etag"]}).status_code == 304


def test_what_a_browser_loads_first_is_compressed_and_small(serve: Serve) -> None:
    client = serve()
    paths = ["/ui/", *_assets(client.get("/ui/").text)]

    sizes = [int(client.get(path).headers["content-length"]) for path in paths]
    plain = client.get(paths[1], headers={"accept-encoding": "gzip;q=0"})

    assert len(paths) <= 6
    assert sum(sizes) < 250_000
    assert "content-encoding" not in plain.headers


def test_the_page_is_open_where_a_token_is_set_and_what_it_shows_is_not(serve: Serve) -> None:
    client = serve(token="s3cret")

    assert client.get("/ui/").status_code == 200
    assert client.get("/runs").status_code == 401
