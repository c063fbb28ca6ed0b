"""The init as a picture."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

from crashinit.model.events import TrialResult
from crashinit.report.kinds import kind_of, kinds
from crashinit.report.picture import Picture, pictures
from crashinit.report.results import read
from crashinit.report.stories import Stories

from .events import failing, results

PUBLISHED = Path(__file__).parents[2] / "reports/dockerd-20.10.24"


def drawn(trials: list[TrialResult], where: Path = Path("nowhere"), driver: str = "reference") -> list[Picture]:
    numbers = {kind_of(alike[0]): n for n, alike in enumerate(kinds(t for t in trials if t.outcome != "converged"), 1)}
    return pictures(trials, Stories(where, driver), numbers)


def along(outcomes: str) -> list[TrialResult]:
    """Kills along an init: a letter for each operation, '.' converged, '-' not tried, else the reason."""
    found = []
    for n, letter in enumerate(outcomes, 1):
        trial = replace(results()[0], id=f"k/{n}", boundary=n, operation=f"op{n}", step="mkfs")
        if letter not in ".-":
            trial = failing(trial, "diverged", letter, {"C07": "fail"})
        found += [trial] * (letter != "-")
    return found


def test_each_cell_is_what_came_of_a_fault_at_an_operation() -> None:
    """A failure has the number of its kind, a success a mark; the cell leads to its trial."""
    (picture,) = drawn(along("..a"))
    (band,) = picture.bands
    (row,) = band.rows

    assert row.strike == "kill (driver alone)"
    assert [cell and (cell.mark, cell.trial) for cell in row.cells] == [("✓", "k/1"), ("✓", "k/2"), ("1", "k/3")]
    assert row.cells[2] and row.cells[2].text == "operation 3, op3: diverged (kind 1)"


def test_neighbours_that_fail_alike_are_a_window() -> None:
    """Two or more points of one kind, which no other point lies between, are named with their operations."""
    (picture,) = drawn(along(".aa.b.aaa"))

    assert [name for _, name in picture.windows] == [
        "kind 1: 2 points, operations 2 to 3 (op2 to op3)",
        "kind 1: 3 points, operations 7 to 9 (op7 to op9)",
    ]
    spans = [(window.span, window.kind) for window in picture.bands[0].rows[0].windows]
    assert spans == [(1, None), (2, 1), (3, None), (3, 1)]


def test_several_trials_at_one_point_show_the_worst() -> None:
    """Crash states of one power cut share a cell: the worst kind is its number, and all are counted."""
    trials = [
        replace(trial, fault="power-cut", victim="machine", boundary=1, operation="op1") for trial in along(".a.")
    ]
    (picture,) = drawn(trials)
    (cell,) = picture.bands[0].rows[0].cells

    assert cell and (cell.mark, cell.trial) == ("1", "k/2")
    assert cell.text == "operation 1, op1: 2 converged, 1 diverged (kind 1)"


def test_a_long_init_is_broken_where_a_step_begins() -> None:
    """No band is wider than a page; together they hold every operation once."""
    (picture,) = drawn(read(PUBLISHED).results, PUBLISHED, "dockerd")

    assert picture.bands[0].columns[0].number == 1
    numbers = [column.number for band in picture.bands for column in band.columns]
    assert numbers == list(range(1, picture.operations + 1))
    for band in picture.bands:
        assert sum(column.tried for column in band.columns) <= 51
        assert sum(span for _, span in band.steps) == len(band.columns)
    assert picture.bands[1].columns[0].step == "base-create"


def test_every_trial_of_a_published_run_is_in_the_picture() -> None:
    """Kills, errors and power cuts of one driver share the operations of one init."""
    trials = read(PUBLISHED).results
    (picture,) = drawn(trials, PUBLISHED, "dockerd")
    rows = Counter(row.strike for band in picture.bands for row in band.rows for cell in row.cells if cell)

    assert set(rows) == {
        "kill (driver alone)",
        "kill (driver and children)",
        "EIO, once",
        "EIO, each time",
        "power cut",
    }
    places = {(trial.operation, trial.victim) for trial in trials if trial.fault == "kill"}
    assert rows["kill (driver alone)"] + rows["kill (driver and children)"] == len(places)
