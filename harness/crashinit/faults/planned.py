"""Scenario + trace -> the trials of the faults that strike a held init, with stable ids."""

from collections.abc import Sequence
from dataclasses import replace

from crashinit.contract.family import Family
from crashinit.faults import FAULTS, Acting
from crashinit.faults.actor import without_anything_to_take
from crashinit.model.fault import LOST, MAKE_AN_EVENT
from crashinit.model.observation import OperationRecord, Run
from crashinit.model.trial import Point, Trial
from crashinit.scenario import plan
from crashinit.scenario.scenario import Scenario


def trials(scenario: Scenario, run: Run, driver: str, family: Family) -> list[Trial]:
    """Every trial of one scenario on an init like this one, in the order of its trace."""
    operations = run.operations
    acting = acting_in(run)
    nothing = _idle(scenario, operations)
    struck = plan.points(scenario, operations, family)
    short = plan.slugs([*acting, *(point.operation for point in struck)])
    return [
        Trial(
            id="/".join(
                part for part in (scenario.name, _phase(scenario, point), short[point.operation], way.name) if part
            ),
            driver=driver,
            scenario=scenario.name,
            setup=plan.setup_of(scenario),
            point=point,
            fault=scenario.fault,
            victim=way.victim,
            restarts=scenario.restarts,
            error=way.error,
            seconds=way.seconds,
            actor=scenario.actor,
            udev="" if scenario.udev == "default" else scenario.udev,
            release=scenario.release if scenario.actor else "",
            recovery=scenario.recovery,
        )
        for point in struck
        if point.operation not in nothing
        for way in FAULTS[scenario.fault].ways(scenario, acting.get(point.operation))
    ]


def acting_in(run: Run) -> dict[str, Acting]:
    """By operation, what is about to happen at its boundary."""
    return {one.key: Acting(one.kind, one.pid == run.pid) for one in run.operations}


def _idle(scenario: Scenario, operations: Sequence[OperationRecord]) -> set[str]:
    """Boundaries at which what comes beside the fault has nothing to do."""
    found = without_anything_to_take(scenario.actor, operations)
    if scenario.udev == LOST:
        found |= {operation.key for operation in operations if operation.kind not in MAKE_AN_EVENT}
    return found


def left_out(scenario: Scenario, run: Run, family: Family) -> list[str]:
    """Of the boundaries that a scenario names, those at which it has nothing to do, as sentences."""
    acting = acting_in(run)
    nothing = _idle(scenario, run.operations)
    keys = [point.operation for point in plan.points(scenario, run.operations, family)]
    idle = sum(key in nothing for key in keys)
    mute = sum(not FAULTS[scenario.fault].ways(scenario, acting.get(key)) for key in keys if key not in nothing)
    company = f"'{scenario.actor}' finds nothing to take" if scenario.actor else "no event is made that could be lost"
    counted = ((mute, f"'{scenario.fault}' has nothing to strike"), (idle, company))
    return [f"{scenario.name}: {count} operations at which {what}" for count, what in counted if count]


def _phase(scenario: Scenario, point: Point) -> str:
    """What stands for the phase in an id: a scenario of all boundaries strikes each of them once."""
    return "" if scenario.step == "all" else point.phase


def second_crashes(first: Trial, reinit: Sequence[OperationRecord], family: Family) -> list[Trial]:
    """The re-init of a trial, crashed at each of its own boundaries in turn, by the same victim."""
    steps = family.steps_of(reinit)
    short = plan.slugs(operation.key for operation in reinit)
    return [
        replace(
            first,
            id=f"{first.id}/then/{short[operation.key]}",
            point=Point(step, "before" if steps.index(step) == index else "during", operation.n, operation.key),
            earlier=first.point,
        )
        for index, (operation, step) in enumerate(zip(reinit, steps, strict=True))
    ]
