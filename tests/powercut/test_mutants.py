"""Mutants that no kill can tell from the reference driver, or not for the same reason: a power cut can."""

from pathlib import Path

import pytest
from crashinit.adapters import load
from crashinit.adapters.expectation import expectation_of
from crashinit.contract.judge import judge
from crashinit.driven import Seconds
from crashinit.machine.protocol import Provider
from crashinit.plan import Point, Trial
from crashinit.powercut.plan import setup_of
from crashinit.powercut.runner import PowerCutRunner
from crashinit.scenario import Scenario

from tests.mutants.mutants import BY_POWER_CUT, HERE, Mutant

MUTANTS = [Mutant.read(patch) for patch in sorted(HERE.glob(f"{BY_POWER_CUT}*.patch"))]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_is_caught(mutant: Mutant, provider: Provider, tmp_path: Path) -> None:
    """After a power cut where the bug bites, the mutant breaks one of the clauses that name the bug.

    The head of its patch names the layout as Given and the crash state as Victim.
    """
    adapter = load(str(mutant.adapter(tmp_path)))
    about = {"title": mutant.bug, "fault": "power-cut", "given": mutant.given, "at": [mutant.at]}
    setup = setup_of(Scenario.model_validate(about))
    with PowerCutRunner(provider, adapter, tmp_path) as runner:
        recorded, reference = runner.record(setup)
        state = recorded.states[mutant.at, mutant.victim]
        point = Point("", state.phase, recorded.operations[state.operation].n, mutant.at)
        trial = Trial(mutant.name, adapter.name, mutant.name, setup, point, "power-cut", "machine", 1)
        evidence = runner.boot(trial, recorded, state, Seconds())
    verdicts = judge(evidence, reference, expectation_of(adapter, setup.options, setup.deadline))
    failed = {clause: verdict.reason for clause, verdict in verdicts.items() if verdict.status == "fail"}

    assert recorded.run.exit == 0, recorded.run.stderr
    assert failed.keys() & set(mutant.clauses), f"only these failed: {failed}"
