"""Each mutant of the reference driver is caught, by a clause that names its bug."""

from pathlib import Path

import pytest
from crashinit.adapters.expectation import expectation_of
from crashinit.contract.judge import judge
from crashinit.machine.protocol import Provider
from crashinit.plan import trials
from crashinit.scenario import Scenario
from crashinit.trial import TrialRunner

from .mutants import Mutant, mutants


@pytest.mark.parametrize("mutant", mutants(), ids=lambda mutant: mutant.name)
def test_mutant_is_caught(mutant: Mutant, provider: Provider, tmp_path: Path) -> None:
    """Killed where the bug bites, the mutant breaks one of the clauses that name the bug."""
    adapter = mutant.adapter(tmp_path)
    scenario = Scenario.model_validate(
        {
            "title": mutant.bug,
            "name": mutant.name,
            "given": mutant.given,
            "at": [mutant.at],
            "victims": [mutant.victim],
        }
    )
    with TrialRunner(provider, adapter) as runner:
        [trial] = trials(scenario, [], adapter.name)
        reference, _ = runner.reference(trial.setup)
        evidence, _ = runner.run(trial)
    verdicts = judge(evidence, reference, expectation_of(adapter, (), trial.setup.deadline))
    failed = {clause: verdict.reason for clause, verdict in verdicts.items() if verdict.status == "fail"}

    assert evidence.fired is not None, f"'{mutant.at}' did not occur"
    assert failed.keys() & set(mutant.clauses), f"only these failed: {failed}"
