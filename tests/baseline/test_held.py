"""A run held against what its scenarios expect."""

from pathlib import Path
from typing import Any

import pytest
from crashinit.baseline.held import held

from .runs import TRIALS, WEDGED, run

SCENARIO = TRIALS[0].scenario
HELD = {SCENARIO: "converged", "reports/other": "converged"}
MISSING = "not as expected: reports/other: no trial was run"


def test_a_whole_run_shows_each_scenario() -> None:
    """One that shows nothing fails the run."""
    against = held(Path(), run(TRIALS), expectations=HELD)

    assert against.wrong
    assert against.sentences == [MISSING]


@pytest.mark.parametrize("facts", [{"narrowed": True}, {"shard": "1/2"}])
def test_a_part_of_a_run_is_held_against_the_scenarios_that_it_has(facts: dict[str, Any]) -> None:
    """A scenario of which no trial was chosen, or whose trials another share has, shows nothing."""
    against = held(Path(), run(TRIALS, **facts), expectations=HELD)

    assert not against.wrong
    assert against.sentences == ["as expected: 1 scenario"]
    assert against.judged == [one for one in TRIALS if one.scenario != SCENARIO]


def test_a_scenario_that_fails_in_a_part_fails_the_run() -> None:
    """What was chosen of it counts."""
    against = held(Path(), run([WEDGED, *TRIALS[1:]], narrowed=True), expectations=HELD)

    assert against.wrong
    assert against.sentences[0].startswith(f"not as expected: {SCENARIO}: '{WEDGED.id}' was to converge")
