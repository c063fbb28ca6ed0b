"""How trials that went wrong are told apart."""

from dataclasses import replace

import pytest
from crashinit.campaign.tries import combined
from crashinit.report.kinds import came_up, how_often, in_words

from .events import failing, results

SECOND = replace(failing(results()[0], "diverged", "it failed", {"C01": "fail", "C08": "n/a"}), restarts=2)


@pytest.mark.parametrize(
    ("recovered", "said"), [(True, "Only init number 2 succeeds"), (False, "No init succeeds any more (2 tried)")]
)
def test_whether_an_init_succeeded_is_known_without_any_clause(recovered: bool, said: str) -> None:
    """A driver that is exempt from the clauses on what comes after success may succeed all the same."""
    result = replace(SECOND, recovered=recovered)

    assert (came_up(result), in_words(result)) == (recovered, said)


@pytest.mark.parametrize(("clause", "status"), [("C10", "pass"), ("C11", "fail")])
def test_a_result_of_an_earlier_version_tells_it_by_what_was_judged(clause: str, status: str) -> None:
    """Where it is not recorded, a verdict on what comes after a success shows that there was one."""
    assert came_up(replace(SECOND, clauses={**SECOND.clauses, clause: status}))  # type: ignore[dict-item]
    assert not came_up(SECOND)


FAILS = failing(results()[0], "diverged", "C01: no", {"C01": "fail"})


@pytest.mark.parametrize(
    ("fails", "said"),
    [
        ({1, 2}, "fails under 2 of 3 seeds (1, 2), not under 0"),
        ({0, 1, 2}, "fails under 3 of 3 seeds (0 to 2)"),
        (set(), "converges under 3 of 3 seeds (0 to 2)"),
    ],
)
def test_seeds_are_named(fails: set[int], said: str) -> None:
    """Whoever reads how often a trial fails can run it so that it does, and so that it does not."""
    tries = [replace(FAILS if seed in fails else results()[0], seed=seed) for seed in range(3)]

    assert how_often([combined(tries)]) == said


def test_a_failure_in_another_way_under_another_seed_is_told() -> None:
    """It fails under each seed, but not in the same clauses."""
    other = replace(FAILS, clauses={"C02": "fail"}, seed=1)

    assert how_often([combined([replace(FAILS, seed=0), other])]) == (
        "fails under 2 of 2 seeds (0, 1), not always in the same way"
    )


def test_seeds_of_several_trials_are_counted() -> None:
    """Trials of one kind, each with seeds of its own."""
    race = combined([replace(FAILS, seed=0), replace(results()[0], seed=1)])
    always = combined([replace(FAILS, seed=0), replace(FAILS, seed=1)])

    assert how_often([race, always]) == "seen 3 of 4 under seeds 0, 1: a race in 1 of 2"
