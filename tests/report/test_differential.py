"""Two drivers side by side."""

from dataclasses import replace
from io import StringIO
from pathlib import Path

from crashinit.model.events import TrialResult
from crashinit.report import RunRecord, read
from crashinit.report.differential import Side, drawn, rows
from rich.console import Console

from .events import failing, report, results, unjudged


def run(directory: Path, trials: list[TrialResult]) -> RunRecord:
    report(directory, trials)
    return read(directory)


def test_trials_are_matched_by_step_phase_and_victim(tmp_path: Path) -> None:
    """Ids and numbers of boundaries differ between drivers; thirty kinds of crash are the same."""
    renamed = [replace(trial, id=f"{trial.id}-2") for trial in [*results(), results()[0]]]
    found = rows(run(tmp_path / "a", results()), run(tmp_path / "b", renamed))

    assert len(found) == 30
    assert all(row.equal for row in found)


def test_a_kind_of_crash_that_one_run_lacks_is_not_compared(tmp_path: Path) -> None:
    """Nothing is said of what was not tried."""
    assert len(rows(run(tmp_path / "a", results()), run(tmp_path / "b", results()[:5]))) == 5


def test_a_side_tells_outcome_restarts_and_leftovers() -> None:
    """The most restarts, how many trials left something behind or never came up, which clauses failed."""
    late = replace(failing(results()[0], "diverged", "a loop", {"C01": "fail", "C04": "fail"}), restarts=3)
    never = replace(late, clauses={"C01": "fail", "C08": "n/a"})

    assert str(Side.of([late, results()[1]])) == "1/2, up to 3 restarts, leftovers in 1: C01 C04"
    assert str(Side.of([never])) == "0/1, never up in 1: C01"
    assert str(Side.of([])) == "-"


def test_a_side_does_not_blame_the_driver_for_what_was_not_judged() -> None:
    """Trials that did not fire or could not be judged are counted, and that is all."""
    assert str(Side.of([*unjudged(), results()[2]])) == "1/3, 2 not judged"


def test_drivers_that_fail_differently_are_not_equal(tmp_path: Path) -> None:
    """A clause that fails for one of them alone makes the row different."""
    wedged = [failing(results()[0], "diverged", "a loop", {"C04": "fail"}), *results()[1:]]
    found = rows(run(tmp_path / "a", results()), run(tmp_path / "b", wedged))

    assert [row.equal for row in found].count(False) == 1


def test_the_table_names_each_step_once_and_marks_what_differs(tmp_path: Path) -> None:
    """A reader finds the rows that matter by a mark, which needs no colour."""
    wedged = [failing(results()[0], "diverged", "a loop", {"C04": "fail"}), *results()[1:]]
    left, right = run(tmp_path / "a", results()), run(tmp_path / "b", wedged)
    console = Console(width=100, record=True, file=StringIO())
    console.print(drawn(rows(left, right), left, right))
    text = console.export_text()

    assert text.count("loopback") == 1
    assert [line for line in text.splitlines() if line.lstrip().startswith("≠")] == [
        line for line in text.splitlines() if "leftovers in 1: C04" in line
    ]
    assert "≠ where they" in text
