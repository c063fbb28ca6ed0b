"""How often a trial ends as it did: it is tried again, and its tries are counted.

A failure that hangs on a race comes in some tries and not in others. A trial that diverged is therefore tried again
from the same boundary; one that converged only if that is asked for. What it came to is the first try that diverged:
a trial that diverged once in three tries has diverged, and is named a race.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from crashinit.contract.observation import Evidence
from crashinit.events import CONFIRM, TrialResult, Try
from crashinit.kept import store, stored

JUDGED = ("converged", "diverged")


@dataclass(frozen=True)
class HowOften:
    """How many more times a trial is tried."""

    confirm: int = CONFIRM  # of one that diverged
    repeat: int = 0  # of any that was judged

    def more(self, result: TrialResult) -> int:
        """Further tries that this first result asks for; what another trial stands for is tried as that one."""
        if result.same_as or result.tries or result.outcome not in JUDGED:
            return 0
        return max(self.confirm, self.repeat) if result.outcome == "diverged" else self.repeat


OFTEN = HowOften()


class Tries:
    """The tries of one trial, the first of which has ended.

    The evidence that a run keeps for the trial is that of the first try that diverged; of each other outcome it keeps
    one as 'TRIAL/seen-OUTCOME'.
    """

    def __init__(self, out: Path, first: TrialResult) -> None:
        self._out = out
        self._results = [first]

    def add(self, result: TrialResult, evidence: Evidence | None) -> None:
        """One more try; there is no evidence of one that the harness could not finish."""
        known = {earlier.outcome for earlier in self._results}
        self._results.append(result)
        if evidence is None or result.outcome in known:
            return
        trial, first = result.id, self._results[0]
        if result.outcome == "diverged":
            store(self._out, _seen(trial, first.outcome), stored(self._out, trial))
            store(self._out, trial, evidence)
        else:
            store(self._out, _seen(trial, result.outcome), evidence)

    def result(self) -> TrialResult:
        """What the trial came to, with how often."""
        return combined(self._results)


def _seen(trial: str, outcome: str) -> str:
    return f"{trial}/seen-{outcome}"


def combined(tries: Sequence[TrialResult]) -> TrialResult:
    """The one result of a trial's tries, in their order."""
    result = next((one for one in tries if one.outcome == "diverged"), tries[0])
    if len(tries) == 1:
        return result
    judged = [one for one in tries if one.outcome in JUDGED]
    return replace(
        result,
        seen=f"{sum(one.outcome == result.outcome for one in judged)} of {len(judged)}",
        race=len({(one.outcome, *failed(one), one.recovered) for one in judged}) > 1,
        tries=[Try(outcome=one.outcome, failed=failed(one), restarts=one.restarts, reason=one.reason) for one in tries],
    )


def shared(follower: TrialResult, leader: TrialResult) -> TrialResult:
    """The result of a trial that another one stands for, once that has been tried again."""
    return replace(
        follower,
        outcome=leader.outcome,
        restarts=leader.restarts,
        recovered=leader.recovered,
        clauses=leader.clauses,
        clause_reasons=leader.clause_reasons,
        reason=leader.reason,
        seen=leader.seen,
        race=leader.race,
        tries=leader.tries,
    )


def carried(old: TrialResult, new: TrialResult) -> TrialResult:
    """A result that was judged again, with its tries if it says the same: those of another verdict are not known."""
    if (old.outcome, failed(old)) != (new.outcome, failed(new)):
        return new
    return replace(new, seen=old.seen, race=old.race, tries=old.tries)


def failed(result: TrialResult) -> list[str]:
    """The clauses that failed."""
    return [clause for clause, status in result.clauses.items() if status == "fail"]
