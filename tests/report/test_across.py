"""Several runs side by side."""

from pathlib import Path

from crashinit.report import across, read
from crashinit.report.results import RunRecord

from ..toys import crashinit
from .events import failing, report, results

REPORTS = Path(__file__).parents[2] / "reports"


def run(out: Path, *bad: tuple[int, str]) -> RunRecord:
    """A run in which these trials fail these clauses."""
    trials = results()
    for n, clause in bad:
        trials[n] = failing(trials[n], "diverged", "x", {clause: "fail"})
    report(out, trials)
    return read(out)


def test_kinds_are_counted_by_run(tmp_path: Path) -> None:
    """How bad a failure is and its first clause make a kind; what converged is counted as well."""
    table = across.kinds(
        [run(tmp_path / "a", (0, "C07")), run(tmp_path / "b"), run(tmp_path / "c", (0, "C07"), (1, "C07"))]
    )
    columns = [list(column.cells) for column in table.columns]

    assert [str(cell) for cell in columns[1]] == ["C07", ""]
    assert [column[0] for column in columns[2:]] == ["1", "-", "2"]
    assert [column[1] for column in columns[2:]] == ["29", "30", "28"]


def test_points_that_end_differently_are_listed(tmp_path: Path) -> None:
    """A point is a step, an operation without its number, and a fault; those that end alike only count."""
    table, differing, common = across.points([run(tmp_path / "a", (0, "C07")), run(tmp_path / "b")])
    columns = [[str(cell) for cell in column.cells] for column in table.columns]

    # Of thirty trials at five steps, with two victims, those of one step and victim share a point
    assert (differing, common) == (1, 10)
    assert columns == [["loopback"], ["loop.set-fd data"], ["kill (driver alone)"], ["C07"], ["✓"]]


def test_the_command_compares_any_number_of_runs() -> None:
    """Three published runs: a legend, the kinds, the points, within 80 columns; runs that differ end it with 1."""
    names = ("containerd-1.6.20", "containers-storage-1.43.0", "dockerd-20.10.24")
    ended = crashinit("compare", *(str(REPORTS / name) for name in names))

    assert (ended.returncode, ended.stderr) == (1, "")
    lines = ended.stdout.splitlines()
    assert [line[0] for line in lines[:3]] == ["A", "B", "C"]
    assert "122 points are in more than one run; 15 of them end differently." in lines
    assert max(len(line) for line in lines[3:]) <= 80
    assert crashinit("compare", str(REPORTS / names[0])).returncode == 4
