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


def left_out(scenario: Scenario, run: Run) -> list[str]:
    """Boundaries at which the scenario's fault has nothing to strike, as a sentence."""
    acting = acting_in(run)
    fault = FAULTS[scenario.fault]
    count = 0 if scenario.step != "all" else sum(not fault.ways(scenario, one) for one in acting.values())
    said = [f"{scenario.name}: {count} operations at which '{scenario.fault}' has nothing to strike"] if count else []
    if scenario.step == "all" and (idle := len(_idle(scenario, run.operations))):
        what = f"'{scenario.actor}' finds nothing to take" if scenario.actor else "no event is made that could be lost"
        said.append(f"{scenario.name}: {idle} operations at which {what}")
    return said


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
