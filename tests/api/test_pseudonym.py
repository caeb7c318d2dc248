from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.pseudonym import pseudonymizer
from statemachine.errors import DatabaseUnusable


def test_a_pseudonym_is_stable_within_a_database_and_differs_between_two() -> None:
    one, again, other = (pseudonymizer(Path(name)) for name in ("a.db", "a.db", "b.db"))

    assert one("somebody") == again("somebody")
    assert one("somebody") != other("somebody")
    assert one("somebody") != one("Somebody")


@given(st.text(st.characters(exclude_categories=[])))
def test_any_name_has_a_short_pseudonym_without_a_trace_of_it(name: str) -> None:
    made = pseudonymizer(Path("c.db"))(name)

    assert made.isascii()
    assert 1 <= len(made) <= 50
    assert len(name) < 4 or name not in made


def test_only_the_owner_can_read_the_key() -> None:
    pseudonymizer(Path("a.db"))

    assert Path("a.db-key").stat().st_mode & 0o077 == 0


def test_threads_that_make_the_key_at_once_agree_on_it() -> None:
    with ThreadPoolExecutor(8) as pool:
        names = set(pool.map(lambda _: pseudonymizer(Path("d.db"))("somebody"), range(32)))

    assert len(names) == 1
    assert [path.name for path in Path().iterdir()] == ["d.db-key"]


def test_a_damaged_key_is_told_and_not_replaced() -> None:
    Path("a.db-key").write_bytes(b"short")

    with pytest.raises(DatabaseUnusable, match="5 bytes instead of 32"):
        pseudonymizer(Path("a.db"))


def test_a_folder_without_room_for_a_key_is_told() -> None:
    with pytest.raises(DatabaseUnusable, match="key of pseudonyms"):
        pseudonymizer(Path("nowhere/a.db"))
