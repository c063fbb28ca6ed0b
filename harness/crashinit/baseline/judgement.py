"""A run held against its baseline: what is new, and what the baseline knows and the run does not show any more.

An entry's place is mended when all that was planned there was tried, and none of it fails in that way. A part of a run
(by '-k', a shard, a time that was over) tells that of the places that it tried to the end, and of no other.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from crashinit.baseline.known import Known, kind, place, seeds_of
from crashinit.errors import UsageError
from crashinit.model.events import TrialResult
from crashinit.model.trial import Trial
from crashinit.report.results import RunRecord
from crashinit.report.title import name
from crashinit.report.words import many
from crashinit.run.kept import PLAN
from crashinit.scenario import plan

# A run of an earlier version does not say whether only a part of it was asked for, but by what it left out
NARROWED = ("they were not selected", "boundaries in other steps than")


@dataclass(frozen=True)
class Missed:
    """A place at which an entry's failure did not come."""

    known: Known
    place: str
    tried: int  # trials there; 0: the run has none there, so that the entry names nothing

    def sentence(self) -> str:
        """What a reader must do."""
        entry = f"'{self.place}' out of the entry '{self.known.title()}' ({self.known.reason})"
        if self.tried:
            return f"no longer fails: {many(self.tried, 'trial')} at '{self.place}': take {entry}"
        return f"names nothing: no trial of the run is at '{self.place}': correct it, or take {entry}"


@dataclass(frozen=True)
class Judgement:
    """A run held against its baseline."""

    expected: list[tuple[TrialResult, Known]]
    new: list[TrialResult]  # failures that the baseline does not know
    missed: list[Missed] = field(default_factory=list)

    @property
    def mended(self) -> list[Missed]:
        """Known failures that did not come though their place was tried."""
        return [one for one in self.missed if one.tried]

    @property
    def stale(self) -> list[Missed]:
        """Places that are none of the run's."""
        return [one for one in self.missed if not one.tried]

    @property
    def rotten(self) -> bool:
        """Whether the baseline itself is out of date."""
        return bool(self.missed)

    def sentences(self) -> list[str]:
        """What a reader must know, one line each."""
        alike: dict[tuple[str, ...], list[TrialResult]] = {}
        for result in self.new:
            alike.setdefault((result.outcome, *kind(result), place(result.step, result.operation)), []).append(result)
        lines = [
            f"new failure: {results[0].id}: {results[0].outcome}: {results[0].reason}"
            + (f" (and in {len(results) - 1} more at '{at}')" if len(results) > 1 else "")
            for (*_, at), results in alike.items()
        ]
        lines += [missed.sentence() for missed in (*self.mended, *self.stale)]
        used = len({id(known) for _, known in self.expected})
        counts = [
            many(len(self.expected), "known failure") + (f" of {many(used, 'kind')}" if used else ""),
            f"{len(self.new)} new",
            f"{many(len(self.mended), 'place')} no longer {'fails' if len(self.mended) == 1 else 'fail'}",
        ]
        if self.stale:
            counts.append(many(len(self.stale), "place names nothing", "places name nothing"))
        return [*lines, f"baseline: {', '.join(counts)}"]


def is_whole(run: RunRecord) -> bool:
    """Whether the run tried all that it could: nothing was left unselected, and nothing ended it early."""
    narrowed = run.narrowed
    if narrowed is None:
        narrowed = any(words in sentence for sentence in run.left_out for words in NARROWED)
    return not narrowed and not run.shard and not run.interrupted and not run.not_run


def of_driver(known: Sequence[Known], driver: str) -> list[Known]:
    """The entries that speak of this driver, by its name."""
    return [entry for entry in known if entry.driver in ("", driver)]


def judge(run: RunRecord, known: Sequence[Known], planned: Sequence[Trial] = ()) -> Judgement:
    """Sort results by whether their outcome was known. The harness's own errors are never known: they are new.

    `planned`: the trials of the run's plan, also those that were not selected. Without them only a whole run can tell
    that something is mended.
    """
    ours = of_driver(known, name(run.driver))
    expected: list[tuple[TrialResult, Known]] = []
    new: list[TrialResult] = []
    for result in run.results:
        if result.outcome == "converged":
            continue
        entry = None if result.outcome == "error" else next((one for one in ours if one.explains(result)), None)
        if entry:
            expected.append((result, entry))
        else:
            new.append(result)
    seen = {(id(entry), place(result.step, result.operation)) for result, entry in expected}
    told = _Told(run, planned)
    missed = [
        Missed(entry, at, len(told.at.get(at, ())))
        for entry in ours
        for at in entry.at
        if (id(entry), at) not in seen and told.misses(entry, at)
    ]
    return Judgement(expected, new, missed)


def judge_directory(directory: Path, run: RunRecord, known: Sequence[Known]) -> Judgement:
    """The same of a run in its directory, where its plan lies."""
    planned: Sequence[Trial] = ()
    with suppress(UsageError):  # a run that is published without its plan
        planned = plan.read(directory / PLAN)
    return judge(run, known, planned)


class _Told:
    """What a run can tell of the places that it does not fail at."""

    def __init__(self, run: RunRecord, planned: Sequence[Trial]) -> None:
        self.at: dict[str, list[TrialResult]] = {}
        for result in run.results:
            if result.outcome != "error":
                self.at.setdefault(place(result.step, result.operation), []).append(result)
        self._run = run
        self._whole = is_whole(run)
        self._scenarios = {trial.scenario for trial in planned} | {result.scenario for result in run.results}
        done = {result.id for results in self.at.values() for result in results}
        self._open = {place(trial.point.step, trial.point.operation) for trial in planned if trial.id not in done} | {
            place(result.step, result.operation) for result in run.results if result.outcome == "error"
        }
        self._planned = bool(planned)

    def misses(self, entry: Known, at: str) -> bool:
        """Whether the failure would have come there if it were still to come."""
        if entry.guests and self._run.guest and self._run.guest not in entry.guests:
            return False
        if entry.sometimes or not set(entry.scenarios) <= self._scenarios:
            return False
        results = self.at.get(at)
        if results is None:
            return self._whole and at not in self._open
        to_the_end = at not in self._open and (self._planned or self._whole)
        return to_the_end and all(entry.seeds <= seeds_of(result) for result in results)
