"""Whether a trial repeats itself: it is run many times, and each time compared with the first.

Where machines repeat themselves all of the evidence has to be equal, to the nanosecond. Elsewhere times and random
numbers are others each time: there only what the harness claims is compared, the outcome and the clauses that fail.
"""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from crashinit.campaign.result import result_of
from crashinit.campaign.tries import failed, under
from crashinit.campaign.workers import Done, Failed, run_groups
from crashinit.errors import MachineError
from crashinit.model.observation import Evidence
from crashinit.model.trial import Trial
from crashinit.run.kept import Prepared
from crashinit.trial.difference import first_difference
from crashinit.trial.powercut import PowerCutRunner


@dataclass(frozen=True)
class Repetition:
    """One run of the trial, held against the first."""

    n: int  # from 2 on: which run it is
    difference: str  # the first one, as a sentence; "": none


class Afresh(PowerCutRunner):
    """Runs each trial from the driver's template on, whatever is held of the one before."""

    def run(self, trial: Trial) -> tuple[Evidence, dict[str, float]]:
        self.forget()
        return super().run(trial)


def afresh(runner: Callable[[], PowerCutRunner]) -> Afresh:
    """Such a runner in a worker's process."""
    made = runner()
    return Afresh(made.provider, made.adapter, made.out, merges=False)


def repetitions(
    trial: Trial, times: int, runner: Callable[[], PowerCutRunner], prepared: Prepared, workers: int
) -> Iterator[Repetition]:
    """Run a trial so many times on this many workers; each run but the first, as it ends.

    `runner` makes what runs it, in a worker's process. Raises MachineError when one cannot be finished.
    """
    with runner() as known:
        trial, adapter = under(trial, known.provider), known.adapter
    reference = prepared.references[trial.setup]

    def compared(first: Evidence, other: Evidence) -> str:
        if trial.seed is not None:
            return str(first_difference(first, other) or "")
        one, another = (result_of(trial, each, {}, reference, adapter) for each in (first, other))
        said = [" ".join([each.outcome, *failed(each)]) for each in (one, another)]
        return (
            "" if said[0] == said[1] else f"outcome and failed clauses: {said[0]} in the first, {said[1]} in this one"
        )

    first: Evidence | None = None
    count = 0
    for message in run_groups([[trial]] * times, functools.partial(afresh, runner), workers):
        match message:
            case Failed():
                raise MachineError(f"run {count + 1} of '{trial.id}' could not be finished: {message.reason}")
            case Done():
                count += 1
                if first is None:
                    first = message.evidence
                else:
                    yield Repetition(count, compared(first, message.evidence))
            case _:
                pass
