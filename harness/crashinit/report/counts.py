"""What the results of a run come to: how many of each outcome, by clause, and by step, phase and victim."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from crashinit import families
from crashinit.files.safe import write_text
from crashinit.model.events import OUTCOMES, Outcome, TrialResult
from crashinit.report.results import RunRecord, dump

SUMMARY = "summary.json"

PHASES = ("before", "during", "after")
VICTIMS = ("process", "tree")
NO_STEP = "(no step)"  # what stands for the step of an operation that lies in none

# Colour alone tells a colour-blind reader nothing.
MARKS: dict[Outcome, str] = {"converged": "✓", "diverged": "✗", "not-fired": "○", "error": "!"}
# The driver's divergence before the harness's own errors: it is what a run is made to find.
WORST_FIRST: tuple[Outcome, ...] = ("diverged", "not-fired", "error", "converged")


def is_judged(result: TrialResult) -> bool:
    """Whether the trial says something of the driver.

    A fault that did not strike, or a machine that died, leaves clauses unfulfilled that the driver did not break.
    """
    return result.outcome in ("converged", "diverged")


def judged(results: Iterable[TrialResult]) -> list[TrialResult]:
    """The trials that say something of the driver."""
    return [result for result in results if is_judged(result)]


def summary(run: RunRecord) -> dict[str, Any]:
    """The object that summary.json holds. `trials` counts those with a result, `planned` all of them.

    `clauses` counts only trials that were judged: converged and diverged ones. `seconds` is null when the run was
    killed before it could say.
    """
    outcomes = Counter(result.outcome for result in run.results)
    clauses: dict[str, dict[str, int]] = {}
    for result in judged(run.results):
        for clause, status in result.clauses.items():
            clauses.setdefault(clause, {"pass": 0, "fail": 0, "na": 0})[status.replace("/", "")] += 1
    return {
        "driver": run.driver,
        "provider": run.provider,
        "guest": run.guest,
        "kernel": run.kernel,
        "accel": run.accel,
        "time": run.time,
        "trials": len(run.results),
        **{outcome.replace("-", "_"): outcomes[outcome] for outcome in OUTCOMES},
        "tried_again": sum(bool(result.tries) for result in run.results),
        "races": sum(result.race for result in run.results),
        "seconds": run.seconds,
        "clauses": dict(sorted(clauses.items())),
        "planned": len(run.planned),
        "interrupted": run.interrupted,
        "started": run.started,
        "contract": run.contract,
        "left_out": run.left_out,
        "mask": run.mask,
    }


def write_summary(run: RunRecord, out: Path) -> None:
    """Write summary.json into the run's directory."""
    write_text(out / SUMMARY, dump(summary(run)))


Cells = dict[tuple[str, str, str], Counter[Outcome]]


def table(results: Sequence[TrialResult]) -> tuple[list[str], list[tuple[str, str]], Cells]:
    """Outcomes counted by step, phase and victim: (rows, columns, {(step, phase, victim): counts}).

    The five steps are always there, so that a step without any trial shows as a gap.
    """
    cells: Cells = {}
    for result in results:
        cells.setdefault((result.step, result.phase, result.victim), Counter())[result.outcome] += 1
    steps = _known_first(_of_one_family({step for step, _, _ in cells}), (step for step, _, _ in cells))
    phases = _known_first(PHASES, (phase for _, phase, _ in cells))
    victims = _known_first(VICTIMS, (victim for _, _, victim in cells))
    seen = {victim for _, _, victim in cells} or set(VICTIMS)
    return steps, [(phase, victim) for phase in phases for victim in victims if victim in seen], cells


def worst(counts: Counter[Outcome]) -> Outcome:
    """The outcome that a group of trials is coloured by."""
    return next((outcome for outcome in WORST_FIRST if counts[outcome]), "converged")


def total_seconds(result: TrialResult) -> float:
    """How long the trial took: its own 'total' if the campaign gives one, else the sum of its parts."""
    return result.seconds.get("total", sum(result.seconds.values()))


def _of_one_family(seen: set[str]) -> tuple[str, ...]:
    """The steps of the first family that has all of these; of all families if none has."""
    every = [families.load(name).steps for name in dict.fromkeys((families.DEFAULT, *families.names()))]
    return next((steps for steps in every if seen <= set(steps)), families.steps())


def _known_first(known: Sequence[str], found: Iterable[str]) -> list[str]:
    return [*known, *sorted(set(found) - set(known))]
