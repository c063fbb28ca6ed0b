"""Two runs side by side."""

from dataclasses import replace
from pathlib import Path

from crashinit.model.events import TrialResult
from crashinit.report import RunRecord, read
from crashinit.report.compare import Change, compare

from .events import failing, report, results


def run(directory: Path, trials: list[TrialResult]) -> RunRecord:
    report(directory, trials)
    return read(directory)


def test_times_and_order_do_not_count(tmp_path: Path) -> None:
    """Two runs with the same outcomes and clauses are equal, however long the trials took and in which order."""
    other = [replace(trial, seconds={"reinit": 9.0}) for trial in reversed(results())]

    comparison = compare(run(tmp_path / "a", results()), run(tmp_path / "b", other))

    assert (comparison.common, comparison.equal) == (30, True)


def test_every_change_is_told(tmp_path: Path) -> None:
    """A changed outcome, number of restarts and clause are each one sentence, with the reason."""
    before = results()[:1]
    after = replace(failing(before[0], "diverged", "two loops", {"C01": "pass", "C03": "fail"}), restarts=3)

    comparison = compare(run(tmp_path / "a", before), run(tmp_path / "b", [after]))

    details = [
        "converged -> diverged: two loops",
        "restarts 1 -> 3",
        "C03 pass -> fail: two loops",
        "C12 n/a -> not judged: there was no data before the fault",
    ]
    assert [Change(before[0].id, details)] == comparison.changes


def test_a_trial_in_one_run_only_is_a_difference(tmp_path: Path) -> None:
    """A run that lacks a trial is never equal to one that has it."""
    first, second, third = results()[:3]

    comparison = compare(run(tmp_path / "a", [first, second]), run(tmp_path / "b", [second, third]))

    assert [
        Change(first.id, ["only in the first run: converged"]),
        Change(third.id, ["only in the second run: converged"]),
    ] == comparison.changes
    assert (comparison.common, comparison.equal) == (1, False)
