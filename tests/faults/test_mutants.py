"""The harness itself is put to the test: each mistake in the engine must be noticed."""

from __future__ import annotations

import pytest

from tests.faults.mutants import MUTANTS, Mutant, copy_with, failures, text_of

_each_mutant = pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])


@_each_mutant
def test_a_mutant_still_changes_the_engine(mutant: Mutant) -> None:
    assert text_of(mutant).count(mutant.old) == 1, "the engine has moved on: bring the mutant up to date"


@pytest.mark.tier1
@pytest.mark.timeout(600)
def test_without_a_mistake_nothing_is_noticed() -> None:
    with copy_with() as root:
        assert failures(root, *dict.fromkeys(mutant.caught_by for mutant in MUTANTS)) == ""


@pytest.mark.tier1
@pytest.mark.timeout(300)
@_each_mutant
def test_the_mistake_is_noticed(mutant: Mutant) -> None:
    with copy_with(mutant) as root:
        assert failures(root, mutant.caught_by)
