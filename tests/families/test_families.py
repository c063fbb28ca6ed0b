"""Families are found by their entry points."""

import pytest
from crashinit import families
from crashinit.contract.clauses import CORE
from crashinit.errors import UsageError

OWN = ("lvm", "thinpool", "volume")


@pytest.mark.parametrize("name", OWN)
def test_a_family_is_whole(name: str) -> None:
    """Each has words for each of its steps, a package for machines, and clauses that bear no id twice."""
    family = families.load(name)

    assert family.name == name
    assert set(family.step_words) == set(family.steps)
    assert len(family.clauses) == len(CORE) + len(family.own_clauses)
    assert list(family.clauses) == sorted(family.clauses)


def test_an_unknown_family_is_refused_with_those_that_there_are() -> None:
    """A typo is one sentence."""
    with pytest.raises(UsageError, match=r"there is no family 'thinpol': known are .*lvm.*thinpool.*volume"):
        families.load("thinpol")


def test_the_clauses_of_all_families_have_ids_of_their_own() -> None:
    """An id names one requirement, whichever family has it."""
    every = [clause for name in OWN for clause in families.load(name).own_clauses] + list(CORE)

    assert len({clause.id for clause in every}) == len(every)
    assert set(families.clauses()) >= {clause.id for clause in every}
