"""Many crashes in a row, on a real machine."""

from dataclasses import replace

import pytest
from crashinit.adapters import load
from crashinit.contract.judge import judge, outcome
from crashinit.machine.protocol import Provider
from crashinit.model.trial import Point, Setup, Trial
from crashinit.trial.runner import TrialRunner

pytestmark = pytest.mark.xdist_group("trial")
SETUP = Setup("fresh", (), 60.0)


@pytest.mark.turn(1)
def test_as_many_inits_are_struck_as_were_asked_for(provider: Provider) -> None:
    """All but the last are kept as earlier ones, and what the last one leaves is judged; it is another trial than one
    crash at that place, and takes no other's result."""
    adapter = load("reference")
    once = Trial("once", "reference", "s", SETUP, Point("", "before", 0, "dm.create pool#1"), "kill", "tree", 1)
    often = replace(once, id="often", repeat=4)
    with TrialRunner(provider, adapter) as runner:
        reference, _ = runner.reference(SETUP)
        alone, _ = runner.run(once)
        found, _ = runner.run(often)
    verdicts = judge(found, reference, adapter.expectation((), SETUP.deadline), adapter.kind)

    assert alone.earlier == []
    assert [run.operations[-1].detail.get("killed") for run in (*found.earlier, found.fault_run)] == ["tree"] * 4
    assert found.same_as == found.same_state_as == ""
    assert outcome(verdicts, found, adapter.kind) == ("converged", "")
