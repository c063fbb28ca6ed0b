"""Faults in the init after a fault: of ended trials, what their re-inits are struck with in turn."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from crashinit.adapters import load as load_adapter
from crashinit.campaign.planning import make_runner
from crashinit.contract.family import Family
from crashinit.faults import planned
from crashinit.faults.powercut import plan as power_cuts
from crashinit.model.trial import Point, Trial
from crashinit.run.kept import RECORDINGS, stored
from crashinit.scenario import plan
from crashinit.trial.powercut import THEN, PowerCutRunner, recording_name

PER_FIRST = 8  # second power cuts that are tried in one recorded re-init


def second_faults(
    trials: Sequence[Trial], driver: str, provider: str, out: Path, budget: int
) -> tuple[list[Trial], list[str]]:
    """Trials whose re-init is struck as well, within the budget, and what of them is left out."""
    if any(trial.state for trial in trials):
        with make_runner(driver, provider, out) as runner:
            return second_cuts(runner, trials, budget)
    family = load_adapter(driver).kind
    every = [trial for first in trials for trial in _second_crashes(first, out, family)]
    sample = plan.spread(every, budget)
    left = len(every) - len(sample)
    return sample, [f"{left} of {len(every)} second crashes: a sample of {len(sample)} is spread over all"] * bool(left)


def _second_crashes(first: Trial, out: Path, family: Family) -> list[Trial]:
    """The crashes of a trial's re-init; none when another trial stands for it, or it has none."""
    try:
        evidence = stored(out, first.id)
    except FileNotFoundError:
        return []
    if evidence.same_as or evidence.same_state_as or evidence.fired is None or not evidence.reinits:
        return []
    return planned.second_crashes(first, evidence.reinits[0].operations, family)


def second_cuts(runner: PowerCutRunner, firsts: Sequence[Trial], budget: int) -> tuple[list[Trial], list[str]]:
    """Power cuts during the init after a power cut: a sample that is spread over all, the same one each time.

    Each of these inits is recorded, so that not every first state can have one.
    """
    candidates = [first for first in firsts if first.state and first.point.phase != "after"]
    every: list[Trial] = []
    lost: list[Trial] = []
    chosen = plan.spread(candidates, -(-budget // PER_FIRST))
    said = []
    for first in chosen:
        try:
            recorded = runner.record_again(first)
        except Exception as error:  # whatever it is, it costs this init and not the campaign
            lost.append(_unrecorded(first))
            said.append(f"{first.id}: the init after it, which could not be recorded: {error}")
            continue
        recorded.store(runner.out / RECORDINGS / recording_name(runner.adapter, first.setup, first.point, first.state))
        steps = runner.adapter.kind.steps_of(recorded.operations)
        short = plan.slugs(operation.key for operation in recorded.operations)
        for state in power_cuts.distinct(recorded, [s for s in recorded.states.values() if s.phase != "after"]).states:
            operation = recorded.operations[state.operation]
            point = Point(steps[state.operation], state.phase, operation.n, operation.key)
            name = f"{first.id}/then/{short[operation.key]}/{state.name}"
            both = f"{first.state}{THEN}{state.name}"
            trial = power_cuts.trial_of(name, first.scenario, first.setup, first.driver, point, both)
            every.append(replace(trial, restarts=first.restarts, earlier=first.point))
    sample = [*lost, *plan.spread(every, max(0, budget - len(lost)))]
    missed = len(every) + len(lost) - len(sample)
    left = (
        f"{missed} of {len(every)} second power cuts in the re-inits of {len(chosen)} trials, and those of the other "
        f"{len(candidates) - len(chosen)}: a sample is spread over all"
    )
    return sample, [left, *said]


def _unrecorded(first: Trial) -> Trial:
    """The trial that stands for all second cuts in an init that could not be recorded: it ends with the same error."""
    return replace(first, id=f"{first.id}/then/unrecorded", state=f"{first.state}{THEN}", earlier=first.point)
