"""The init as a picture: its operations from left to right, one row a fault, coloured by what came of it there."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from crashinit.model.events import Outcome, TrialResult
from crashinit.model.observation import Evidence
from crashinit.model.trial import INIT, Setup
from crashinit.report.counts import MARKS, NO_STEP, worst
from crashinit.report.kinds import Kind, kind_of
from crashinit.report.stories import Stories
from crashinit.report.strike import strike
from crashinit.report.words import many

SHORTEST = 2  # points in a row that make a window
WIDEST = 50  # operations that were tried, beside one another on a page
NARROW = 0.15  # the width of one that was not, as a part of it


@dataclass(frozen=True)
class Column:
    """One operation of the init without faults."""

    step: str
    number: int
    key: str
    tried: bool  # whether any trial of the run struck it


@dataclass(frozen=True)
class Cell:
    """What came of one fault at one operation."""

    outcome: Outcome
    mark: str  # the number of the kind of failure, or a mark
    trial: str  # that the cell leads to
    text: str


@dataclass(frozen=True)
class Window:
    """Neighbouring points where one fault ends in one kind of failure; a gap between two windows has no name."""

    span: int
    kind: int | None
    name: str = ""


@dataclass(frozen=True)
class Row:
    """One fault, over some operations."""

    strike: str
    cells: Sequence[Cell | None]
    windows: Sequence[Window]  # from left to right over all columns; empty where there is none


@dataclass(frozen=True)
class Band:
    """As much of an init as stands beside one another on a page."""

    steps: Sequence[tuple[str, int]]  # each with the number of its columns, in the order of the init
    columns: Sequence[Column]
    rows: Sequence[Row]


@dataclass(frozen=True)
class Picture:
    """One init with all that was done to it."""

    given: str  # the root that it began with; "": not recorded
    operations: int
    bands: Sequence[Band]
    windows: Sequence[tuple[str, str]]  # each with its fault and its name


def pictures(results: Sequence[TrialResult], stories: Stories, numbers: Mapping[Kind, int]) -> list[Picture]:
    """One picture for each kind of root that inits began with; `numbers`: of the kinds of failure."""
    found: dict[str, list[TrialResult]] = {}
    for result in results:
        if result.boundary:
            found.setdefault(_root(result, stories), []).append(result)
    return [_picture(root, there, stories, numbers) for root, there in found.items()]


def _root(result: TrialResult, stories: Stories) -> str:
    """What the trial began with. On which disk it lies is no matter for the operations."""
    trial = stories.trials.get(result.id)
    return "" if trial is None else _named(trial.setup)


def _named(setup: Setup) -> str:
    """The root, and what was struck on it if that was no init."""
    root = "populated" if setup.used else "fresh"
    return root if setup.during == INIT else f"{root}, during {setup.during}"


def _picture(root: str, results: Sequence[TrialResult], stories: Stories, numbers: Mapping[Kind, int]) -> Picture:
    healthy = max(
        (evidence for setup, evidence in stories.healthy.items() if _named(setup) == root),
        key=lambda evidence: len(evidence.fault_run.operations),
        default=None,
    )
    at = {result.id: _key(result, stories, known=healthy is not None) for result in results}
    known = _columns(healthy, stories, results, at)
    columns, index = list(known.values()), {key: n for n, key in enumerate(known)}
    cells: dict[str, list[Cell | None]] = {}
    for name in dict.fromkeys(strike(result) for result in results):
        struck: list[list[TrialResult]] = [[] for _ in columns]
        for result in results:
            if strike(result) == name and at[result.id] in index:
                struck[index[at[result.id]]].append(result)
        cells[name] = [_cell(column, there, numbers) if there else None
                       for column, there in zip(columns, struck, strict=True)]  # fmt: skip
    windows = [
        (name, window.name)
        for name, row in cells.items()
        for window in _windows(columns, row)
        if window.kind is not None
    ]
    bands = [_band(columns[part], {name: row[part] for name, row in cells.items()}) for part in _parts(columns)]
    return Picture(root, len(columns), bands, windows)


def _parts(columns: Sequence[Column]) -> Iterator[slice]:
    """Where an init is broken so that a page bears it: where a step begins, if that is not far."""
    begun, width, step = 0, 0.0, 0
    for n, column in enumerate(columns):
        if n and column.step != columns[n - 1].step:
            step = n
        if width >= WIDEST:
            at = step if step - begun > WIDEST / 2 else n
            yield slice(begun, at)
            begun, width = at, sum(_width(each) for each in columns[at:n])
        width += _width(column)
    yield slice(begun, len(columns))


def _width(column: Column) -> float:
    return 1 if column.tried else NARROW


def _band(columns: Sequence[Column], cells: Mapping[str, Sequence[Cell | None]]) -> Band:
    spans = [(step or NO_STEP, len([*there])) for step, there in groupby(columns, key=lambda column: column.step)]
    rows = [Row(name, row, _windows(columns, row)) for name, row in cells.items()]
    return Band(spans, columns, rows)


def _key(result: TrialResult, stories: Stories, *, known: bool) -> str:
    """The operation where it struck; of a second fault, where the first one did. Where the init without faults is not
    known, its number tells two of one key apart."""
    trial = stories.trials.get(result.id)
    key = trial.earlier.operation if trial is not None and trial.earlier is not None else result.operation
    return key if known else f"{key} ({result.boundary})"


def _columns(
    healthy: Evidence | None, stories: Stories, results: Iterable[TrialResult], at: Mapping[str, str]
) -> dict[str, Column]:
    """The operations of an init without faults; without one, those that were struck."""
    struck = set(at.values())
    if healthy is None:
        in_order = sorted(results, key=lambda result: result.boundary)
        return {at[result.id]: Column(result.step, result.boundary, result.operation, True) for result in in_order}
    operations = healthy.fault_run.operations
    return {
        operation.key: Column(step, operation.n, operation.key, operation.key in struck)
        for step, operation in zip(stories.steps_of(healthy), operations, strict=True)
    }


def _cell(column: Column, results: Sequence[TrialResult], numbers: Mapping[Kind, int]) -> Cell:
    counts = Counter(result.outcome for result in results)
    outcome = worst(counts)
    failing = [numbers[kind_of(result)] for result in results if kind_of(result) in numbers]
    shown = next(
        (result for result in results if numbers.get(kind_of(result)) == min(failing, default=0)),
        next(result for result in results if result.outcome == outcome),
    )
    kinds = f" (kind {', '.join(map(str, sorted(set(failing))))})" if failing else ""
    told = outcome if len(results) == 1 else ", ".join(f"{counts[each]} {each}" for each in counts)
    mark = str(min(failing)) if failing else MARKS[outcome]
    return Cell(outcome, mark, shown.id, f"operation {column.number}, {column.key}: {told}{kinds}")


def _windows(columns: Sequence[Column], cells: Sequence[Cell | None]) -> list[Window]:
    """Rows of failures of one kind. An operation that was not tried neither ends a window nor begins one."""
    found: list[Window] = []
    begun, last, kind = 0, -1, None  # of the row of cells that is looked at
    named = False

    def close() -> None:
        nonlocal named
        points = sum(cells[n] is not None for n in range(begun, last + 1))
        if kind is None or points < SHORTEST:
            return
        if gap := begun - sum(window.span for window in found):
            found.append(Window(gap, None))
        first, end = columns[begun], columns[last]
        at = f"operations {first.number} to {end.number} ({first.key} to {end.key})"
        name = f"kind {kind}: {many(points, 'point')}, {at}"
        found.append(Window(last - begun + 1, kind, name))
        named = True

    for n, cell in enumerate(cells):
        if cell is None:
            continue
        own = int(cell.mark) if cell.mark.isdigit() else None
        if own != kind:
            close()
            begun, kind = n, own
        last = n
    close()
    if named and (rest := len(cells) - sum(window.span for window in found)):
        found.append(Window(rest, None))
    return found
