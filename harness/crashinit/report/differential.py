"""Two drivers side by side: the same crash at the same step, and how each came out of it.

Trials of two drivers have different ids, since their operations differ; a step, a phase and a victim are the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.table import Table
from rich.text import Text

from crashinit.model.events import TrialResult
from crashinit.report.counts import judged, table
from crashinit.report.kinds import came_up
from crashinit.report.results import RunRecord
from crashinit.report.title import name
from crashinit.text.printable import one_line

LEFTOVERS = "C04"


@dataclass(frozen=True)
class Side:
    """What one driver made of a kind of crash."""

    trials: int
    converged: int
    restarts: int  # the most inits that a trial needed, of those in which one succeeded
    never: int  # trials in which none did
    leftovers: int  # trials after which something was left behind (clause C04)
    failed: tuple[str, ...]  # clauses that failed in some trial
    not_judged: int = 0  # trials that did not fire, or that the harness could not judge

    @classmethod
    def of(cls, results: Sequence[TrialResult]) -> "Side":
        told = judged(results)
        failed = {clause for result in told for clause, status in result.clauses.items() if status == "fail"}
        return cls(
            trials=len(results),
            converged=sum(result.outcome == "converged" for result in results),
            restarts=max((result.restarts for result in told if came_up(result)), default=0),
            never=sum(not came_up(result) for result in told),
            leftovers=sum(result.clauses.get(LEFTOVERS) == "fail" for result in told),
            failed=tuple(sorted(failed)),
            not_judged=len(results) - len(told),
        )

    def __str__(self) -> str:
        if not self.trials:
            return "-"
        words = [f"{self.converged}/{self.trials}"]
        if self.never:
            words.append(f"never up in {self.never}")
        if self.restarts > 1:
            words.append(f"up to {self.restarts} restarts")
        if self.leftovers:
            words.append(f"leftovers in {self.leftovers}")
        if self.not_judged:
            words.append(f"{self.not_judged} not judged")
        return ", ".join(words) + (f": {' '.join(self.failed)}" if self.failed else "")


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
    grid = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        caption="converged of all trials, what went wrong: clauses that failed; ≠ where they differ",
        caption_justify="left",
    )
    for title in ("", "step", "phase", "victim"):
        grid.add_column(title, no_wrap=True)
    for title in (name(left.driver), name(right.driver)):
        grid.add_column(_cell(title), ratio=1)
    step = ""
    for row in found:
        mark = "" if row.equal else "≠"
        told = ["" if row.step == step else row.step, row.phase, row.victim, str(row.left), str(row.right)]
        grid.add_row(mark, *map(_cell, told))
        step = row.step
    return grid


def _cell(text: str) -> Text:
    """A text of a stored run: nothing in it is markup."""
    return Text(one_line(text))


def _at(run: RunRecord, step: str, phase: str, victim: str) -> list[TrialResult]:
    return [r for r in run.results if (r.step, r.phase, r.victim) == (step, phase, victim)]
