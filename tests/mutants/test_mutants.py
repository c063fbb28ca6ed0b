"""Each mutant of the reference driver is caught, by a clause that names its bug."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from crashinit.adapters import load
from crashinit.adapters.expectation import expectation_of
from crashinit.contract.clauses import CLAUSES
from crashinit.contract.judge import judge
from crashinit.contract.observation import Evidence
from crashinit.machine.protocol import Provider
from crashinit.plan import Setup
from crashinit.trial import TrialRunner

from .mutants import HERE, REPRESENTATIVE, Mutant, mutants

STRUCK = [mutant for mutant in mutants() if not mutant.condition]
CONDITIONED = [mutant for mutant in mutants() if mutant.condition]
CONDITIONS = Path(__file__).parents[2] / "scenarios" / "conditions"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The representative mutants, or all of them."""
    for fixture, every in (("struck", STRUCK), ("conditioned", CONDITIONED)):
        if fixture in metafunc.fixturenames:
            wanted = [m for m in every if m.name in REPRESENTATIVE or metafunc.config.getoption("--all-mutants")]
            metafunc.parametrize(fixture, wanted, ids=lambda mutant: mutant.name)


@pytest.fixture(scope="session")
def reference(provider: Provider) -> Iterator[Callable[[Setup], Evidence]]:
    """The evidence of an init of the driver without a bug and without a fault, made once for each setup."""
    made: dict[Setup, Evidence] = {}
    with TrialRunner(provider, load("reference")) as runner:

        def get(setup: Setup) -> Evidence:
            if setup not in made:
                made[setup] = runner.reference(setup)[0]
            return made[setup]

        yield get


def test_mutant_is_caught(
    struck: Mutant, provider: Provider, reference: Callable[[Setup], Evidence], tmp_path: Path
) -> None:
    """Struck where the bug bites, the mutant breaks one of the clauses that name the bug."""
    adapter = load(str(struck.adapter(tmp_path)))
    trial = struck.trial
    with TrialRunner(provider, adapter) as runner:
        evidence, _ = runner.run(trial)
    verdicts = judge(evidence, reference(trial.setup), expectation_of(adapter, (), trial.setup.deadline))
    failed = {clause: verdict.reason for clause, verdict in verdicts.items() if verdict.status == "fail"}

    assert evidence.fired is not None, f"'{struck.at}' did not occur"
    assert failed.keys() & set(struck.clauses), f"only these failed: {failed}"


def test_mutant_is_caught_by_condition(conditioned: Mutant, tmp_path: Path) -> None:
    """Under the condition that brings the bug out, the mutant does not do what must hold."""
    adapter = conditioned.adapter(tmp_path)
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(CONDITIONS / conditioned.condition)]
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV"))}
    run = subprocess.run(
        [*argv, f"--crashinit-driver={adapter}", f"--crashinit-out={tmp_path / 'out'}"],
        capture_output=True,
        text=True,
        env=outside,
    )

    assert run.returncode == pytest.ExitCode.TESTS_FAILED, run.stdout + run.stderr
    assert "AssertionError" in run.stdout, run.stdout  # not an error of the harness


def test_mutants_are_well_described() -> None:
    """There are at least 20 mutants, each names clauses and a fault, and the representative ones are among them."""
    every = [*STRUCK, *CONDITIONED]
    known = {f"C{n:02}" for n in range(1, 18)}

    assert len(every) >= 20
    assert [mutant.name for mutant in every if not set(mutant.clauses) <= known] == []
    assert [mutant.name for mutant in every if not (mutant.at and mutant.victim) and not mutant.condition] == []
    assert [mutant.name for mutant in CONDITIONED if not (CONDITIONS / mutant.condition.split("::")[0]).exists()] == []
    assert set(REPRESENTATIVE) <= {mutant.name for mutant in every}


def test_each_clause_has_a_mutant() -> None:
    """No clause is there that nothing was ever seen to break."""
    heads = [Mutant.read(patch) for patch in HERE.glob("*.patch")]

    assert set(CLAUSES) - {clause for mutant in heads for clause in mutant.clauses} == set()


@pytest.mark.parametrize("mutant", mutants(), ids=lambda mutant: mutant.name)
def test_patch_applies(mutant: Mutant, tmp_path: Path) -> None:
    """The patch fits the driver as it is, so that no mutant is left behind when the driver changes."""
    adapter = load(str(mutant.adapter(tmp_path)))

    assert adapter.install.files[0].path(adapter.base) == tmp_path / "driver" / "thindriver"
