"""The evidence of the published reports stays readable, and an init without a fault passes every later contract."""

from pathlib import Path

import pytest
from crashinit.adapters import load
from crashinit.contract.judge import without_fault
from crashinit.run.kept import read_prepared

PUBLISHED = sorted((Path(__file__).parents[2] / "reports").glob("*-*.*/"))


def test_there_are_published_reports() -> None:
    """Else the next test would prove nothing."""
    assert len(PUBLISHED) >= 3


@pytest.mark.parametrize("out", PUBLISHED, ids=lambda out: out.name)
def test_published_references_pass(out: Path) -> None:
    """What a newer probe tells more of is not held against evidence that does not have it."""
    prepared = read_prepared(out)
    adapter = load(prepared.trials[0].driver)

    assert {
        setup.given: without_fault(evidence, adapter.expectation(setup.options, setup.deadline), adapter.kind)
        for setup, evidence in prepared.references.items()
    } == {setup.given: ("converged", "") for setup in prepared.references}
