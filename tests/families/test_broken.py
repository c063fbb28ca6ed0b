"""Each bug of the small drivers is caught by the clause that names it."""

from pathlib import Path

import pytest
from crashinit import families
from crashinit.adapters import load
from crashinit.contract.judge import judge
from crashinit.machine.protocol import Provider
from crashinit.trial.runner import TrialRunner

from ..turns import part
from .broken import BROKEN, Broken

SAMPLE = 2  # of a test run; the next day has the next ones, and '--all-turns' has each


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "broken" in metafunc.fixturenames:
        metafunc.parametrize(
            "broken", part(metafunc.config, BROKEN, SAMPLE), ids=lambda one: f"{one.driver}-{one.name}"
        )


@pytest.mark.xdist_group("trial")
def test_a_bug_is_caught_by_its_clause(broken: Broken, provider: Provider, tmp_path: Path) -> None:
    """With the fault that brings it out, or without any."""
    adapter = load(str(broken.adapter(tmp_path)))
    with TrialRunner(provider, adapter) as runner:
        first, _ = runner.reference(broken.setup)
        found = runner.run(broken.trial)[0] if broken.at else first
    against = found if not broken.at else first
    verdicts = judge(found, against, adapter.expectation((), broken.setup.deadline), adapter.kind)

    assert found.fired or not broken.at, f"'{broken.at}' did not occur"
    assert verdicts[broken.clause].status == "fail", {id: v.reason for id, v in verdicts.items() if v.status == "fail"}
    assert not verdicts[broken.clause].unseen


@pytest.mark.parametrize("family", ["lvm", "volume"])
def test_each_family_has_six_bugs(family: str) -> None:
    """And each clause of its own has one."""
    own = [one for one in BROKEN if load(one.driver).family == family]

    assert len(own) >= 6
    assert {clause.id for clause in families.load(family).own_clauses} - {one.clause for one in own} <= {"L02"}
