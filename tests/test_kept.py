"""A run that is over can be judged again from its directory, without a machine."""

from pathlib import Path

import pytest
from crashinit import cli
from crashinit.campaign import judge_again
from crashinit.errors import UsageError
from crashinit.kept import Prepared, read_prepared, store, stored
from crashinit.plan import Point, Setup, Trial
from crashinit.report import read
from crashinit.result import failed, result_of

from .contract.builder import add, evidence, reference, spoil
from .report.events import report

SETUP = Setup("fresh", (), 60.0)
POINT = Point("mkfs", "before", 3, "exec mkfs.ext4#1")
TRIAL = Trial("steps/mkfs/before/exec-mkfs.ext4-1/tree", "reference", "steps/mkfs", SETUP, POINT, "kill", "tree", 3)
LOST = Trial(
    "steps/mkfs/before/exec-mkfs.ext4-1/process", "reference", "steps/mkfs", SETUP, POINT, "kill", "process", 3
)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run's directory with a trial that left nothing behind, and one that the harness could not finish."""
    from crashinit.adapters import load

    Prepared([TRIAL, LOST], {SETUP: reference()}, "tcg", []).store(tmp_path)
    store(tmp_path, TRIAL.id, evidence())
    first = result_of(TRIAL, evidence(), {"init": 1.0}, reference(), load("reference"))
    report(tmp_path, [first, failed(LOST, "its worker process died")])
    return tmp_path


def test_a_plan_comes_back_with_what_it_is_judged_against(run: Path) -> None:
    """Trials, references and accelerator are read as they were stored."""
    prepared = read_prepared(run)

    assert (prepared.trials, prepared.accel) == ([TRIAL, LOST], "tcg")
    assert prepared.references == {SETUP: reference()}
    assert stored(run, TRIAL.id) == evidence()


def test_the_verdict_follows_the_evidence(run: Path) -> None:
    """Other evidence leads to another verdict; the harness's own error has none and stays."""
    before = read(run).results
    store(run, TRIAL.id, spoil(evidence(), add("kernel_log", "[1.0] BUG: scheduling while atomic")))
    again = judge_again(before, run)

    assert before[0].clauses["C17"] == "pass"
    assert (again[0].outcome, again[0].clauses["C17"]) == ("diverged", "fail")
    assert again[1] == before[1]


def test_the_command_replaces_the_reports(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`crashinit judge` says what came out differently, and the exit code is that of the new results."""
    store(run, TRIAL.id, spoil(evidence(), add("kernel_log", "[1.0] BUG: scheduling while atomic")))
    code = cli.main(["judge", str(run)])

    assert code == 1
    assert capsys.readouterr().out.startswith(f"{TRIAL.id}\n2 trials were judged again; 1 of them")
    assert read(run).results[0].outcome == "diverged"
    assert "diverged" in (run / "report.html").read_text()


def test_evidence_that_is_gone_is_named(run: Path) -> None:
    """Without its evidence a trial is not judged by guessing."""
    next((run / "evidence").glob("steps*")).unlink()

    with pytest.raises(UsageError, match=f"the evidence of '{TRIAL.id}'"):
        judge_again(read(run).results, run)
