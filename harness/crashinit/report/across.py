"""Several runs side by side: drivers by guests, and what fails in which run, by kind and by point."""

from collections import Counter
from collections.abc import Mapping, Sequence
from string import ascii_uppercase

from rich import box
from rich.table import Table
from rich.text import Text

from crashinit.model.events import TrialResult
from crashinit.model.operations import uncounted
from crashinit.report.counts import MARKS, worst
from crashinit.report.kinds import SEVERITIES, Severity, first, severity
from crashinit.report.results import RunRecord
from crashinit.report.strike import strike
from crashinit.report.title import name
from crashinit.report.verdict import distinct
from crashinit.report.words import many
from crashinit.text.printable import one_line

LETTERS = ascii_uppercase  # one a run, in the tables
Point = tuple[str, str, str]  # step, operation without what counts, what was done


def matrix(runs: Mapping[tuple[str, str], RunRecord], named: tuple[Sequence[str], Sequence[str]]) -> Table:
    """Drivers by guests: how many of the distinct faults converged, and how the others ended."""
    drivers, guests = named
    grid = _grid()
    grid.add_column("driver", no_wrap=True)
    for guest in guests:
        grid.add_column(_text(guest))
    for driver in drivers:
        grid.add_row(_text(name(driver)), *(_cell(runs.get((driver, guest))) for guest in guests))
    return grid


def _cell(run: RunRecord | None) -> Text:
    if run is None or not run.results:
        return Text("no result")
    counts = Counter(result.outcome for result in distinct(run.results))
    told = [f"{MARKS[worst(counts)]} {counts['converged']}/{counts.total()}"]
    told += [f"{counts[each]} {MARKS[each]}" for each in ("diverged", "not-fired", "error") if counts[each]]
    if run.not_run:
        told.append(f"{len(run.not_run)} without a result")
    return _text(", ".join(told))


def legend(runs: Sequence[tuple[str, RunRecord]]) -> list[str]:
    """Which letter stands for which run, one line each."""
    return [
        f"{letter} = {where}: {name(run.driver)}{f' on {run.guest}' if run.guest else ''}"
        for letter, (where, run) in zip(LETTERS, runs, strict=False)
    ]


def kinds(runs: Sequence[RunRecord]) -> Table:
    """How many distinct faults end in which kind of failure, by run: how bad it is, and the clause."""
    found: dict[tuple[int, str], Counter[int]] = {}
    order: Sequence[Severity] = list(SEVERITIES)
    for number, run in enumerate(runs):
        for result in distinct(run.results):
            if result.outcome == "diverged":
                found.setdefault((order.index(severity(result)), first(result)[0]), Counter())[number] += 1
    grid = _grid("distinct faults; clause: the first that fails")
    grid.add_column("kind of failure")
    grid.add_column("clause", no_wrap=True)
    for letter, _ in zip(LETTERS, runs, strict=False):
        grid.add_column(letter, justify="right", no_wrap=True)
    for (how, clause), counts in sorted(found.items()):
        grid.add_row(SEVERITIES[order[how]], _text(clause), *(str(counts[n] or "-") for n in range(len(runs))))
    totals = [str(sum(result.outcome == "converged" for result in distinct(run.results))) for run in runs]
    grid.add_row("converged", "", *totals)
    return grid


def points(runs: Sequence[RunRecord]) -> tuple[Table, int, int]:
    """The points that more than one run has and that end differently; how many differ, of how many there are."""
    by_run = [_points(run.results) for run in runs]
    every = dict.fromkeys(point for found in by_run for point in found)
    common = [point for point in every if sum(point in found for found in by_run) > 1]
    differing = [point for point in common if len({found[point] for found in by_run if point in found}) > 1]
    grid = _grid("✓ converged; a clause: the first that fails; -: no such point in that run")
    for title in ("step", "operation", "fault"):
        grid.add_column(title)
    for letter, _ in zip(LETTERS, runs, strict=False):
        grid.add_column(letter, no_wrap=True)
    for point in differing:
        grid.add_row(*map(_text, point), *(_text(found.get(point, "-")) for found in by_run))
    return grid, len(differing), len(common)


def _points(results: Sequence[TrialResult]) -> dict[Point, str]:
    """How a run ended at each point: the worst of what shares it."""
    found: dict[Point, list[TrialResult]] = {}
    for result in distinct(results):
        found.setdefault((result.step, uncounted(result.operation), strike(result)), []).append(result)
    return {point: _ended(there) for point, there in found.items()}


def _ended(results: Sequence[TrialResult]) -> str:
    outcome = worst(Counter(result.outcome for result in results))
    bad = sorted({first(result)[0] for result in results if result.outcome == outcome})
    return MARKS[outcome] if outcome == "converged" else bad[0] if len(bad) == 1 else f"{bad[0]} +{len(bad) - 1}"


def said(differing: int, common: int) -> str:
    """What the points come to, as a sentence."""
    ends = many(differing, "of them ends", "of them end")
    return f"{many(common, 'point is', 'points are')} in more than one run; {ends} differently."


MATRIX = "converged of all distinct faults; ✗ diverged, ○ the fault did not strike, ! not judged"


def _grid(caption: str | None = None) -> Table:
    return Table(box=box.SIMPLE_HEAD, pad_edge=False, caption=caption, caption_justify="left")


def _text(text: str) -> Text:
    """A text of a stored run: nothing in it is markup."""
    return Text(one_line(text), overflow="fold")
