"""Scenario + recorded init -> power-cut trials with stable ids: every crash state that the scenario asks for, once."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from crashinit.adapters import Adapter
from crashinit.faults.powercut.disk import Identity
from crashinit.faults.powercut.layout import layout_of
from crashinit.faults.powercut.record import LoggedInit
from crashinit.faults.powercut.states import CrashState, flushes_without_a_moment
from crashinit.model.fault import POWER_CUT
from crashinit.model.trial import Point, Setup, Trial
from crashinit.scenario import plan as plans
from crashinit.scenario.plan import slugs
from crashinit.scenario.scenario import Scenario

RESTARTS = 3  # re-inits that are tried before giving up


def setup_of(scenario: Scenario, adapter: Adapter) -> Setup:
    """The recorded init that a scenario's power cuts begin from."""
    setup = plans.setup_of(scenario)
    return Setup(setup.given, (*layout_of(setup).options(adapter), *setup.options), setup.deadline)


@dataclass(frozen=True)
class Distinct:
    """Of some crash states, those with an image of their own, and how many share one of those."""

    states: list[CrashState]
    merged: int


def distinct(recorded: LoggedInit, states: Iterable[CrashState]) -> Distinct:
    """Of the states with the same image, the first; what is owed after init has reported success is another matter.

    The states come in the order of the run.
    """
    identities = [Identity(content) for content in recorded.initial_disks()]
    reached = [0] * len(identities)
    seen: Counter[tuple[int, ...]] = Counter()
    found = []
    for state in states:
        numbers = []
        for disk, (identity, cut, log) in enumerate(zip(identities, state.cuts, recorded.logs, strict=True)):
            identity.add(entry for entry in log[reached[disk] : cut.prefix] if entry.changes)
            reached[disk] = cut.prefix  # states come in the order of the run, so that this never goes back
            numbers.append(identity.peek(cut.beyond(log)))
        image = (state.phase == "after", *numbers)
        seen[image] += 1
        if seen[image] == 1:
            found.append(state)
    return Distinct(found, sum(seen.values()) - len(seen))


def trials(scenario: Scenario, recorded: LoggedInit, driver: str, adapter: Adapter) -> tuple[list[Trial], list[str]]:
    """A trial for each distinct crash state that the scenario asks for, and sentences on what is left out."""
    setup, operations, family = setup_of(scenario, adapter), recorded.operations, adapter.kind
    points = plans.points(scenario, operations, family)
    phases = {point.n - 1: point.phase for point in points if point.n}
    found = distinct(recorded, [state for state in recorded.states.values() if _is_wanted(scenario, state, phases)])
    steps = family.steps_of(operations)
    short = slugs([*(operation.key for operation in operations), *(point.operation for point in points)])
    planned = []
    for state in found.states:
        operation = operations[state.operation]
        bounded = scenario.step != "all" and state.phase == "before"
        phase = phases[state.operation] if bounded else state.phase
        parts = [scenario.name, "" if scenario.step == "all" else phase, short[operation.key], state.name]
        point = Point(steps[state.operation], phase, operation.n, operation.key)
        trial = trial_of("/".join(part for part in parts if part), scenario.name, setup, driver, point, state.name)
        planned.append(replace(trial, restarts=scenario.restarts))
    for point in points:
        if not point.n:  # it will not fire
            name = f"{scenario.name}/{point.phase}/{short[point.operation]}"
            planned.append(trial_of(name, scenario.name, setup, driver, point, ""))
    said = plans.left_out(scenario, operations, family)
    if found.merged:
        said.append(f"{scenario.name}: {found.merged} crash states with the very disks of another state, bit by bit")
    if count := flushes_without_a_moment(recorded.logs, recorded.marks):
        said.append(f"{scenario.name}: {count} flushes in operations that used several disks: their order is not known")
    return planned, said


def _is_wanted(scenario: Scenario, state: CrashState, phases: dict[int, str]) -> bool:
    """Whether a scenario asks for a state. Of a step's bounds it is the moment itself, not what comes after it."""
    if state.operation not in phases:
        return False
    if state.phase == "after":  # the run has ended; its last operation is the driver's exit
        return scenario.step == "all" or "after" in scenario.phases
    inside = phases[state.operation] != "after" and "during" in scenario.phases
    return state.phase == "before" or scenario.step == "all" or inside


def trial_of(name: str, scenario: str, setup: Setup, driver: str, point: Point, state: str) -> Trial:
    return Trial(name, driver, scenario, setup, point, POWER_CUT.name, "machine", RESTARTS, state=state)
