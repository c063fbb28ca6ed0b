"""Scenario + trace -> the trials of the faults that strike a held init, with stable ids."""

from collections.abc import Sequence
from dataclasses import replace

from crashinit.contract.family import Family
from crashinit.faults import FAULTS, Acting
from crashinit.model.observation import OperationRecord, Run
from crashinit.model.trial import Point, Trial
from crashinit.scenario import plan
from crashinit.scenario.scenario import Scenario


def trials(scenario: Scenario, run: Run, driver: str, family: Family) -> list[Trial]:
    """Every trial of one scenario on an init like this one, in the order of its trace."""
    operations = run.operations
    acting = acting_in(run)
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
            recovery=scenario.recovery,
        )
        for point in struck
        for way in FAULTS[scenario.fault].ways(scenario, acting.get(point.operation))
    ]


def acting_in(run: Run) -> dict[str, Acting]:
    """By operation, what is about to happen at its boundary."""
    return {one.key: Acting(one.kind, one.pid == run.pid) for one in run.operations}


def left_out(scenario: Scenario, run: Run) -> list[str]:
    """Boundaries at which the scenario's fault has nothing to strike, as a sentence."""
    acting = acting_in(run)
    fault = FAULTS[scenario.fault]
    count = 0 if scenario.step != "all" else sum(not fault.ways(scenario, one) for one in acting.values())
    return [f"{scenario.name}: {count} operations at which '{scenario.fault}' has nothing to strike"] if count else []


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
