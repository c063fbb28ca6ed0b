"""Two drivers side by side: the same crash at the same step, and how each came out of it.

Trials of two drivers have different ids, since their operations differ; a step, a phase and a victim are the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.table import Table

from crashinit.events import TrialResult
from crashinit.report.results import RunRecord, table

LEFTOVERS = "C04"


@dataclass(frozen=True)
class Side:
    """What one driver made of a kind of crash."""

    trials: int
    converged: int
    restarts: int  # the most inits that a trial needed
    leftovers: int  # trials after which something was left behind (clause C04)
    failed: tuple[str, ...]  # clauses that failed in some trial

    @classmethod
    def of(cls, results: Sequence[TrialResult]) -> "Side":
        failed = {clause for result in results for clause, status in result.clauses.items() if status == "fail"}
        return cls(
            trials=len(results),
            converged=sum(result.outcome == "converged" for result in results),
            restarts=max((result.restarts for result in results), default=0),
            leftovers=sum(result.clauses.get(LEFTOVERS) == "fail" for result in results),
            failed=tuple(sorted(failed)),
        )

    def __str__(self) -> str:
        if not self.trials:
            return "-"
        words = [f"{self.converged}/{self.trials}"]
        if self.restarts > 1:
            words.append(f"{self.restarts} restarts")
        if self.leftovers:
            words.append(f"{self.leftovers} with leftovers")
        if self.failed:
            words.append(" ".join(self.failed))
        return ", ".join(words)


@dataclass(frozen=True)
class Row:
    """One kind of crash: where, when, of whom."""

    step: str
    phase: str
    victim: str
    left: Side
    right: Side

    @property
    def equal(self) -> bool:
        """Whether both drivers came out alike; how many boundaries each has does not count."""
        return (self.left.converged == self.left.trials) == (
            self.right.converged == self.right.trials
        ) and self.left.failed == self.right.failed


def rows(left: RunRecord, right: RunRecord) -> list[Row]:
    """All kinds of crash that both runs have, in the order of the steps."""
    steps, columns, _ = table([*left.results, *right.results])
    found = []
    for step in steps:
        for phase, victim in columns:
            sides = [Side.of(_at(run, step, phase, victim)) for run in (left, right)]
            if all(side.trials for side in sides):
                found.append(Row(step, phase, victim, *sides))
    return found


def drawn(found: Sequence[Row], left: RunRecord, right: RunRecord) -> Table:
    """The rows as a table for a terminal."""
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("step", "phase", "victim", left.driver, right.driver):
        grid.add_column(title)
    for row in found:
        grid.add_row(row.step, row.phase, row.victim, str(row.left), str(row.right))
    return grid


def _at(run: RunRecord, step: str, phase: str, victim: str) -> list[TrialResult]:
    return [r for r in run.results if (r.step, r.phase, r.victim) == (step, phase, victim)]
