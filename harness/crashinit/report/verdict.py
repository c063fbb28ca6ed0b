"""The verdict of a run in one sentence, in figures of distinct faults."""

from collections import Counter
from collections.abc import Iterable

from crashinit.model.events import Outcome, TrialResult
from crashinit.report.counts import judged, worst
from crashinit.report.gaps import Gaps
from crashinit.report.kinds import SEVERITIES, severity
from crashinit.report.results import RunRecord
from crashinit.report.words import many


def distinct(results: Iterable[TrialResult]) -> list[TrialResult]:
    """Without those that another trial of the run stands for, since their fault was the very same."""
    every = list(results)
    there = {result.id for result in every}
    return [result for result in every if result.same_as not in there]


def said(run: RunRecord) -> str:
    """What fails, how badly and how often; and what is not known."""
    if not run.results:
        return "Nothing ran, so nothing is known of the driver."
    return " ".join([_judged(judged(distinct(run.results)), Gaps(run)), *Gaps(run).sentences()])


def tone(run: RunRecord) -> Outcome:
    """The outcome that the verdict is coloured by: green only if every planned trial converged."""
    counts = Counter(result.outcome for result in run.results)
    if counts["converged"] == len(run.planned) and run.results:
        return "converged"
    found = worst(counts)
    return "not-fired" if found == "converged" else found


def unfinished(run: RunRecord) -> str:
    """That the run did not come to its end, as a sentence; "" if it did."""
    if run.interrupted and not run.not_run:
        return "The run was interrupted when every planned trial had a result, while some were tried again."
    of = f"{len(run.not_run)} of {many(len(run.planned), 'planned trial')}"
    if run.interrupted:
        return f"The run was interrupted: {of} {'was' if len(run.not_run) == 1 else 'were'} not done."
    if run.seconds is None and run.started:
        return f"The run did not end: {of} {'has' if len(run.not_run) == 1 else 'have'} no result."
    return ""


def _judged(results: list[TrialResult], gaps: Gaps) -> str:
    if not results:
        return "No trial was judged, so nothing is known of the driver."
    bad = Counter(severity(result) for result in results if result.outcome == "diverged")
    of = many(len(results), "fault")
    if not bad:
        each = "After the one fault" if len(results) == 1 else f"After each of {of}"
        no = "No failure in what was judged." if gaps else "No failure."
        return f"{no} {each} the next init put everything in order."
    worst_first = [(bad[how], words) for how, words in SEVERITIES.items() if bad[how]]
    (count, words), *others = worst_first
    first = f"After {count} of {of} {words}"
    good = len(results) - bad.total()
    rest = f"; after the other {good} the next init puts everything in order." if good else "."
    return ", ".join([first, *(f"after {count} {words}" for count, words in others)]) + rest
