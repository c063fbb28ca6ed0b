"""Scenario + trace -> the trials of the faults that strike a held init, with stable ids."""

from collections.abc import Sequence
from dataclasses import replace

from crashinit.contract.family import Family
from crashinit.faults import FAULTS
from crashinit.model.observation import OperationRecord
from crashinit.model.trial import Point, Trial
from crashinit.scenario import plan
from crashinit.scenario.scenario import Scenario


def trials(scenario: Scenario, operations: Sequence[OperationRecord], driver: str, family: Family) -> list[Trial]:
    """Every trial of one scenario, in the order of the trace."""
    kinds = {operation.key: operation.kind for operation in operations}
    struck = plan.points(scenario, operations, family)
    short = plan.slugs([*kinds, *(point.operation for point in struck)])
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
            recovery=scenario.recovery,
        )
        for point in struck
        for way in FAULTS[scenario.fault].ways(scenario, kinds.get(point.operation))
    ]


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
