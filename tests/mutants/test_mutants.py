"""Each mutant of the reference driver is caught: the clauses that name its bug fail, and no others.

A test run has a sample of them, which changes from day to day; `make mutants` has all.
"""

import json
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from crashinit import families
from crashinit.adapters import load
from crashinit.adapters.driven import Seconds
from crashinit.contract.judge import judge
from crashinit.faults.powercut.plan import setup_of
from crashinit.machine.protocol import Provider
from crashinit.model.observation import Evidence
from crashinit.model.trial import Point, Setup, Trial
from crashinit.scenario.scenario import Scenario
from crashinit.trial.powercut import PowerCutRunner
from crashinit.trial.runner import TrialRunner

from .mutants import DRIVER, HERE, Mutant, mutants
from .score import wanted

EVERY = mutants()
CONDITIONS = HERE.parents[1] / "scenarios" / "conditions"
REPORTED = HERE.parents[1] / "scenarios" / "reports" / "drivers"
FAILED = "failed clauses"  # the property in which a condition notes them
# The state as a whole (C13) and what one more init makes of it (C11) differ wherever some part of it is wrong.
WHOLE = {"C11", "C13"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The day's mutants, or all of them, each under its kind of fault."""
    today = wanted(metafunc.config)
    kinds = {
        "struck": [mutant for mutant in today if not mutant.condition and not mutant.by_power_cut],
        "conditioned": [mutant for mutant in today if mutant.condition],
        "cut": [mutant for mutant in today if mutant.by_power_cut],
    }
    for fixture, chosen in kinds.items():
        if fixture in metafunc.fixturenames:
            metafunc.parametrize(fixture, chosen, ids=lambda mutant: mutant.name)


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


def require(mutant: Mutant, failed: dict[str, str]) -> None:
    """The mutant is caught by its clauses and by no other, for the reason that its head gives."""
    assert failed.keys() == mutant.caught_by, f"{mutant.name}: {failed}"
    assert mutant.says in failed[mutant.clauses[0]]


def test_mutant_is_caught(
    struck: Mutant, provider: Provider, reference: Callable[[Setup], Evidence], tmp_path: Path
) -> None:
    """Struck where the bug bites, the mutant breaks the clauses that its head names, and no others."""
    adapter = load(str(struck.adapter(tmp_path)))
    trial = struck.trial
    with TrialRunner(provider, adapter) as runner:
        evidence, _ = runner.run(trial)
    verdicts = judge(evidence, reference(trial.setup), adapter.expectation((), trial.setup.deadline), adapter.kind)

    assert evidence.fired is not None, f"'{struck.at}' did not occur"
    require(struck, {clause: verdict.reason for clause, verdict in verdicts.items() if verdict.status == "fail"})


def test_mutant_is_caught_by_power_cut(cut: Mutant, provider: Provider, tmp_path: Path) -> None:
    """After a power cut where the bug bites, the mutant breaks the clauses that its head names, and no others."""
    adapter = load(str(cut.adapter(tmp_path)))
    about = {"title": cut.bug, "fault": "power-cut", "given": cut.given, "at": [cut.at]}
    setup = setup_of(Scenario.model_validate(about), adapter)
    with PowerCutRunner(provider, adapter, tmp_path) as runner:
        recorded, undisturbed = runner.record(setup)
        state = recorded.states[cut.at, cut.victim]
        point = Point("", state.phase, recorded.operations[state.operation].n, cut.at)
        trial = Trial(cut.name, adapter.name, cut.name, setup, point, "power-cut", "machine", 1)
        evidence = runner.boot(trial, recorded, state, Seconds())
    verdicts = judge(evidence, undisturbed, adapter.expectation(setup.options, setup.deadline), adapter.kind)

    assert recorded.run.exit == 0, recorded.run.stderr
    require(cut, {clause: verdict.reason for clause, verdict in verdicts.items() if verdict.status == "fail"})


def test_mutant_is_caught_by_condition(conditioned: Mutant, tmp_path: Path) -> None:
    """Under the condition that brings the bug out, the mutant breaks the clauses that its head names and no others."""
    adapter, report = conditioned.adapter(tmp_path), tmp_path / "junit.xml"
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(CONDITIONS / conditioned.condition)]
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV"))}
    run = subprocess.run(
        [*argv, f"--crashinit-driver={adapter}", f"--crashinit-out={tmp_path / 'out'}", f"--junit-xml={report}"],
        capture_output=True,
        text=True,
        env=outside,
    )
    noted = [each.get("value", "") for each in ET.parse(report).iter("property") if each.get("name") == FAILED]

    assert run.returncode == pytest.ExitCode.TESTS_FAILED, run.stdout + run.stderr
    assert len(noted) == 1, run.stdout  # not an error of the harness
    require(conditioned, json.loads(noted[0]))


def test_mutants_are_well_described() -> None:
    """There are at least 20 mutants; each names clauses that there are, each once, and a fault or a condition."""
    assert len(EVERY) >= 20
    assert [m.name for m in EVERY if not m.caught_by <= set(families.load().clauses)] == []
    assert [m.name for m in EVERY if len(m.caught_by) < len(m.clauses + m.also) or not m.clauses] == []
    assert [m.name for m in EVERY if bool(m.at and m.victim) == bool(m.condition)] == []
    assert [m.name for m in EVERY if m.condition and not (CONDITIONS / m.condition.split("::")[0]).exists()] == []


def test_each_clause_has_a_mutant_of_its_own() -> None:
    """For each clause there is a bug that no other clause catches, but for those on the state as a whole."""
    alone = {mutant.clauses[0] for mutant in EVERY if len(mutant.clauses) == 1 and set(mutant.also) <= WHOLE}

    assert set(families.load().clauses) - alone == set()
    assert {("C11",), ("C13",)} <= {mutant.clauses for mutant in EVERY if not set(mutant.also) - {"C13"}}


@pytest.mark.parametrize("mutant", EVERY, ids=lambda mutant: mutant.name)
def test_patch_applies(mutant: Mutant, tmp_path: Path) -> None:
    """The patch fits the driver as it is, so that no mutant is left behind when the driver changes."""
    adapter = load(str(mutant.adapter(tmp_path)))

    assert adapter.install.files[0].path(adapter.directory) == tmp_path / "driver" / "thindriver"


def test_a_driver_of_the_reports_has_the_mutants_bug(tmp_path: Path) -> None:
    """It comes along without the patches, and so it makes its bug by a command: the very one of the patch."""
    mutant = next(mutant for mutant in EVERY if mutant.name == "own-pool-refused")
    mutant.adapter(tmp_path)
    edited, patched = (tmp_path / name / "thindriver" / "transactions.py" for name in ("edited", "driver"))
    edited.parent.mkdir(parents=True)
    shutil.copy(DRIVER / "thindriver" / edited.name, edited)
    [words] = load(str(REPORTED / "refuses-its-pool.toml")).before
    subprocess.run([*words[:-1], str(edited)], check=True)

    assert edited.read_text() == patched.read_text()
