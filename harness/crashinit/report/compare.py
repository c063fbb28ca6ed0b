"""What changed between two runs, point by point and clause by clause."""

from dataclasses import dataclass

from crashinit.model.events import TrialResult
from crashinit.report.kinds import how_often
from crashinit.report.results import RunRecord


@dataclass(frozen=True)
class Change:
    """One trial that is not the same in both runs; `details` are sentences."""

    id: str
    details: list[str]


@dataclass(frozen=True)
class Comparison:
    """Two runs side by side; `common` counts the trials that both have."""

    common: int
    changes: list[Change]

    @property
    def equal(self) -> bool:
        """Whether every trial is in both runs, with the same outcome, restarts and verdict of each clause."""
        return not self.changes


def compare(left: RunRecord, right: RunRecord) -> Comparison:
    """Compare by trial id, in the order of the left run and then of what only the right one has. Times do not count."""
    before = {result.id: result for result in left.results}
    after = {result.id: result for result in right.results}
    changes = []
    for trial in dict.fromkeys([*before, *after]):
        details = _details(before.get(trial), after.get(trial))
        if details:
            changes.append(Change(trial, details))
    return Comparison(len(before.keys() & after.keys()), changes)


def _details(before: TrialResult | None, after: TrialResult | None) -> list[str]:
    if before is None or after is None:
        present = before or after
        assert present is not None
        return [f"only in the {'second' if before is None else 'first'} run: {present.outcome}"]
    details = []
    if before.outcome != after.outcome:
        reason = after.reason or before.reason
        often = "; ".join(
            f"in the {name} run {how_often([result])}"
            for name, result in (("first", before), ("second", after))
            if result.race
        )
        said = f"{before.outcome} -> {after.outcome}" + (f": {reason}" if reason else "")
        details.append(said + (f" ({often})" if often else ""))
    if before.restarts != after.restarts:
        details.append(f"restarts {before.restarts} -> {after.restarts}")
    for clause in sorted(before.clauses.keys() | after.clauses.keys()):
        was, now = before.clauses.get(clause, "not judged"), after.clauses.get(clause, "not judged")
        if was != now:
            why = after.clause_reasons.get(clause) or before.clause_reasons.get(clause)
            details.append(f"{clause} {was} -> {now}" + (f": {why}" if why else ""))
    return details
