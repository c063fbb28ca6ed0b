"""How often a trial ends as it did: it is tried again, and its tries are counted.

A failure that hangs on a race comes in some tries and not in others. A trial that diverged is therefore tried again
from the same boundary; one that converged only if that is asked for. What it came to is the first try that diverged:
a trial that diverged once in three tries has diverged, and is named a race.

Where machines repeat themselves the same try would end in the same way: each further one has the next seed.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from crashinit.errors import UsageError
from crashinit.machine.protocol import Provider
from crashinit.machine.seed import VIRTUAL
from crashinit.model.events import CONFIRM, TrialResult, Try
from crashinit.model.fault import kind_of
from crashinit.model.observation import Evidence
from crashinit.model.trial import Trial
from crashinit.run.kept import store, stored
from crashinit.trial.same_state import standing_for

JUDGED = ("converged", "diverged")


@dataclass(frozen=True)
class HowOften:
    """How many more times a trial is tried."""

    confirm: int = CONFIRM  # of one that diverged
    repeat: int = 0  # of any that was judged
    seeds: int = 1  # under which any that was judged is tried, the first one included
    merge: bool = True  # a trial whose fault leaves the state of another one is not run on: that one stands for it

    def require(self, provider: Provider) -> None:
        """Raises UsageError when seeds are asked for of machines that would not heed them."""
        if self.seeds > 1 and not provider.repeats:
            raise UsageError(
                f"the provider '{provider.name}' takes no seeds: give '--provider {VIRTUAL}', "
                f"or '--repeat {self.seeds - 1}' to try every trial so many times more."
            )

    def more(self, result: TrialResult) -> int:
        """Further tries that this first result asks for; what another trial stands for is tried as that one."""
        if result.same_as or result.same_state_as or result.tries or result.outcome not in JUDGED:
            return 0
        any_more = max(self.repeat, self.seeds - 1)
        return max(self.confirm, any_more) if result.outcome == "diverged" else any_more

    def units(self, groups: Iterable[Sequence[Trial]], known: Mapping[str, TrialResult]) -> list[list[Trial]]:
        """The further tries of the trials with these results, as units of which each costs a worker's death one.

        `groups`: the trials by the forks that they share.
        """
        asked = [
            [(trial, known[trial.id], self.more(known[trial.id])) for trial in group if trial.id in known]
            for group in groups
        ]
        most = max((more for group in asked for _, _, more in group), default=0)
        # One seed after the other, each in the order of the trials: so that a recorded init serves many of them.
        seeded = [
            [further(trial, first, n) for trial, first, more in group if first.seed is not None and n <= more]
            for n in range(1, most + 1)
            for group in asked
        ]
        # The very same once more is a unit of its own.
        again = [[trial] for group in asked for trial, first, more in group if first.seed is None for _ in range(more)]
        return [unit for unit in (*seeded, *again) if unit]


OFTEN = HowOften()


def under(trial: Trial, provider: Provider) -> Trial:
    """The trial with the guest and the seed of its machines: its own or the provider's, if they repeat themselves.

    The machines of a power cut get disks, and so do not.
    """
    trial = replace(trial, guest=provider.guest)
    if not provider.repeats or provider.seed is None or kind_of(trial.fault).cuts_power:
        return replace(trial, seed=None)
    return trial if trial.seed is not None else replace(trial, seed=int(provider.seed))


def time_of(trials: Iterable[Trial], provider: Provider) -> str:
    """What the clocks of these trials' machines follow: "real", "virtual" or "mixed"; "" where there are none."""
    times = {"real" if under(trial, provider).seed is None else "virtual" for trial in trials}
    return times.pop() if len(times) == 1 else "mixed" if times else ""


def further(trial: Trial, first: TrialResult, n: int) -> Trial:
    """The trial's n-th further try, the first of which had this result."""
    return trial if first.seed is None else replace(trial, seed=first.seed + n)


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
        # Under its seed another trial may have stood for it; its verdict is its own.
        result = replace(result, same_as="", same_state_as="")
        evidence = evidence and evidence.model_copy(update={"same_as": "", "same_state_as": ""})
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
        tries=[_try(one) for one in tries],
        seed_passes=next((one.seed for one in tries if one.outcome == "converged"), None)
        if result.outcome == "diverged"
        else None,
    )


def _try(result: TrialResult) -> Try:
    one = Try(outcome=result.outcome, failed=failed(result), restarts=result.restarts, reason=result.reason)
    return one if result.seed is None else {**one, "seed": result.seed}


def stands_for(follower: TrialResult) -> str:
    """The trial that stands for this one; "": none."""
    return follower.same_as or follower.same_state_as


def own_verdict(follower: TrialResult, leader: TrialResult) -> bool:
    """Whether a trial in the state of another one comes out otherwise, by what its own init said."""
    return not follower.same_as and failed(follower) != failed(leader)


def shared(follower: TrialResult, leader: TrialResult) -> TrialResult:
    """The result of a trial that another one stands for, once that has been tried again.

    What failed in it in the same way keeps its own words: in one state two inits may say two things.
    """
    new = replace(
        follower,
        seen=leader.seen,
        race=leader.race,
        tries=leader.tries,
        seed=leader.seed,
        seed_passes=leader.seed_passes,
    )
    if not follower.same_as and failed(follower) == failed(leader):
        return new
    return replace(
        new,
        outcome=leader.outcome,
        restarts=leader.restarts,
        recovered=leader.recovered,
        clauses=leader.clauses,
        clause_reasons=leader.clause_reasons,
        reason=leader.reason,
    )


def by_itself(result: TrialResult, known: Mapping[str, TrialResult]) -> bool:
    """Whether a trial that stands in the state of another one fails by what its own init said."""
    leader = known.get(result.same_state_as)
    return leader is not None and result.outcome == "diverged" and own_verdict(result, leader)


def shared_results(leader: TrialResult, known: Mapping[str, TrialResult], out: Path) -> Iterator[TrialResult]:
    """The result of a trial that was tried again, and those of the trials that it stands for."""
    yield leader
    before = known.get(leader.id, leader)
    for follower in known.values():
        if stands_for(follower) == leader.id and not own_verdict(follower, before):
            if follower.outcome != leader.outcome:
                store(out, follower.id, _standing(stored(out, leader.id), follower, out))
            yield from shared_results(shared(follower, leader), known, out)


def _standing(leader: Evidence, follower: TrialResult, out: Path) -> Evidence:
    """A trial's evidence as that of another one for which it stands."""
    if follower.same_as:
        return leader.model_copy(update={"trial": follower.id, "same_as": leader.trial, "same_state_as": ""})
    was = stored(out, follower.id)
    own = {"fault": was.fault, "fault_run": was.fault_run, "fired": was.fired, "earlier": was.earlier}
    return standing_for(leader, follower.id, own)


def carried(old: TrialResult, new: TrialResult) -> TrialResult:
    """A result that was judged again, with its tries if it says the same: those of another verdict are not known."""
    new = replace(new, seed=old.seed, guest=old.guest)  # what was judged again is the evidence of those
    if (old.outcome, failed(old)) != (new.outcome, failed(new)):
        return new
    return replace(new, seen=old.seen, race=old.race, tries=old.tries, seed_passes=old.seed_passes)


def failed(result: TrialResult) -> list[str]:
    """The clauses that failed."""
    return [clause for clause, status in result.clauses.items() if status == "fail"]
